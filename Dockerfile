# edit-jobs as it runs in production: `docker build -t edit-jobs .`, then `docker run edit-jobs --help`.
# The extras `embedded` and `dev` are not in it: no demo, no simulator, no tests.

# What both stages begin with. Nothing is compiled from C: every pinned package has a wheel for it.
FROM python:3.13-slim-trixie AS base
WORKDIR /app
# The code is found where it lies, beside its migrations, and not installed: so nothing has to build it.
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app

FROM base AS build
COPY requirements.lock ./
RUN python -m venv --without-pip /venv
# The lock names all there is, each with its hashes: nothing is resolved, and nothing else gets in.
RUN pip --python /venv install --no-cache-dir --no-compile --no-deps --only-binary=:all: --require-hashes -r requirements.lock
RUN printf '#!/bin/sh\nexec python -m service.cli "$@"\n' > /venv/bin/edit-jobs && chmod 755 /venv/bin/edit-jobs
COPY alembic.ini ./
COPY migrations ./migrations
COPY service ./service
# Who runs it may not write here: what is not compiled now would be compiled at every start.
RUN python -m compileall -q --invalidation-mode unchecked-hash /venv/lib /app

FROM base
COPY --from=build /venv /venv
COPY --from=build /app /app
# The base comes without bytecode. This leaves that of the modules in use, and fails if one cannot be imported.
RUN python -c 'import alembic.command, http.client; import service.api.server, service.cli.application, service.worker.process'
ENV PYTHONDONTWRITEBYTECODE=1
# By number, so that Kubernetes can see that it is not root.
RUN useradd --uid 10001 --no-create-home --home-dir /app edit-jobs
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the API. A worker has no port: one that hangs loses its jobs to another within a lease.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --start-interval=1s \
    CMD ["python", "-c", "import http.client as http; api = http.HTTPConnection('127.0.0.1', 8000, timeout=3); api.request('GET', '/health/live'); exit(api.getresponse().status != 200)"]
ENTRYPOINT ["edit-jobs"]
CMD ["api", "--host", "0.0.0.0"]
