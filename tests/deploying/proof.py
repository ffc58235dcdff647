"""The image without Docker: its Dockerfile run in a clean root file system, and the service in it.

As root, on Linux, with the development environment:

    debootstrap --variant=minbase --include=python3-pip,ca-certificates,netbase trixie BASE
    cd tests && python -m deploying.proof BASE

BASE stands for python:3.13-slim-trixie: Debian 13, whose Python is 3.13, without bytecode. Then Postgres,
Redis and the simulator run out here, and what is in the image runs as its user on a read-only file system:
migrate twice, API, worker, a live job and a test job, SIGTERM. Everything is in a temporary folder, and
mounts end by themselves.
"""
# ruff: noqa: T201  what it finds is told

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from deploying.dockerfile import Stage, build

from service.dev.embedded import Postgres, Redis
from service.dev.processes import reserve_port
from service.dev.simulator import Options, running

CONTEXT = Path(__file__).parents[2]
SAMPLE = "https://pictures.example/samples/lake.png"
NETWORK = ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt")
UNWANTED = ("pip", "pytest", "ruff", "redis-server")
PATIENCE_SECONDS = 60


class Container:
    """One process of the image: read-only but for /tmp, in mounts of its own that end with it."""

    def __init__(self, image: Stage, settings: dict[str, str], *, log: Path, arguments: list[str]) -> None:
        image.environment |= settings
        isolated = (
            f"mount --bind {image.root} {image.root} && mount -o remount,ro,bind {image.root}"
            f" && mount -t proc proc {image.root}/proc && mount -t tmpfs tmpfs {image.root}/tmp"
            ' && exec "$@"'
        )
        self.log = log
        self._image = image
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--mount", "sh", "-c", isolated, "sh"),
                    *image.inside(*image.entrypoint, *(arguments or image.command)),
                ],
                stdout=output,
                stderr=output,
            )

    def wait(self) -> None:
        """Until it has ended, and well."""
        assert self._process.wait(PATIENCE_SECONDS) == 0, self.log.read_text()

    def is_healthy(self) -> bool:
        """By the HEALTHCHECK."""
        checked = subprocess.run(self._image.inside(*self._image.health), capture_output=True, check=False)
        return checked.returncode == 0

    def user(self) -> str:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return status.partition("\nUid:\t")[2].split()[0]

    def stop(self) -> float:
        """SIGTERM; how many seconds it took."""
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self.wait()
        return time.monotonic() - began

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


async def main(base: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="edit-jobs-image-") as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        image = await asyncio.to_thread(_built, base, folder)
        postgres = stack.enter_context(Postgres(folder / "postgres"))
        redis = stack.enter_context(Redis(folder / "redis"))
        async with (
            _by_tcp(postgres.url(scheme="unix").partition("host=")[2] + "/.s.PGSQL.5432") as postgres_port,
            _by_tcp(redis.url().removeprefix("unix://").partition("?")[0]) as redis_port,
            running(Options()) as simulator,
        ):
            settings = {
                "EDIT_JOBS_DATABASE_URL": f"postgresql://postgres@127.0.0.1:{postgres_port}/postgres",
                "EDIT_JOBS_API_DATABASE_URL": f"postgresql://edit_jobs_web@127.0.0.1:{postgres_port}/postgres",
                "EDIT_JOBS_REDIS_URL": f"redis://127.0.0.1:{redis_port}",
                "EDIT_JOBS_UPSTREAM_URL": simulator,
                "EDIT_JOBS_UPSTREAM_TOKEN": "simulated",
                "EDIT_JOBS_SECRET_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            }
            await asyncio.to_thread(_prove, image, settings, folder)


def _built(base: Path, folder: Path) -> Stage:
    """The image, with its sizes told."""
    folder.chmod(0o755)  # Postgres is another user
    clean = folder / "python"
    subprocess.run(["cp", "--archive", str(base), str(clean)], check=True)
    for name in NETWORK:
        shutil.copy(Path("/", name), clean / name)
    for file in (*clean.rglob("*.pyc"), *clean.rglob("EXTERNALLY-MANAGED")):
        file.unlink()
    (clean / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    began = time.monotonic()
    image = build(CONTEXT, base=clean, folder=folder)
    print(f"\nbuilt in {time.monotonic() - began:.0f} s; beyond its base the image holds")
    for name in ("venv", "app"):
        print(f"  {_megabytes(image.root / name):6.1f} MB in /{name}")
    print(f"  {_megabytes(image.root) - _megabytes(clean):6.1f} MB in all")
    unwanted = [name for name in UNWANTED if (image.root / "venv/bin" / name).exists()]
    assert not unwanted, unwanted
    return image


def _prove(image: Stage, settings: dict[str, str], folder: Path) -> None:
    def start(name: str, *arguments: str) -> Container:
        return Container(image, settings, log=folder / f"{name}.log", arguments=list(arguments))

    def printed(name: str, *arguments: str) -> Any:
        container = start(name, *arguments, "--json")
        container.wait()
        return json.loads(container.log.read_text())

    for _ in range(2):
        start("migrate", "migrate").wait()
    print(f"\n{(folder / 'migrate.log').read_text()}")
    api, worker = start("api"), start("worker", "worker")
    try:
        assert not api.is_healthy(), "healthy before it can be"
        began = time.monotonic()
        while not api.is_healthy():
            assert time.monotonic() - began < PATIENCE_SECONDS, api.log.read_text()
        print(f"the API is healthy after {time.monotonic() - began:.1f} s")
        print(f"the API runs as {api.user()}, the worker as {worker.user()}")
        assert api.user() == worker.user() == image.user != "0"
        printed("tenant", "tenants", "create", "shop")
        key = printed("key", "keys", "create", "shop")["key"]
        test_key = printed("test", "keys", "create", "shop", "--test")["key"]
        live, test = (_completed(each, worker) for each in (key, test_key))
        (picture,) = test["output"]["images"]
        with urllib.request.urlopen(picture, timeout=10) as answer:
            size = len(answer.read())
        print(f"jobs {live['id']} and {test['id']} completed; the test picture has {size} bytes")
        for container, trouble in ((api, "redis.away"), (worker, "bell.deaf")):
            assert trouble not in container.log.read_text(), "Redis was not heard"
        print(f"after SIGTERM the worker ended in {worker.stop():.1f} s, the API in {api.stop():.1f} s")
        several = start("several", "api", "--processes", "2")
        try:
            while not several.is_healthy():
                assert time.monotonic() - began < PATIENCE_SECONDS, several.log.read_text()
            print(f"two processes on one port are healthy, and ended in {several.stop():.1f} s")
        finally:
            several.kill()
    finally:
        api.kill()
        worker.kill()


def _completed(key: str, worker: Container) -> Any:
    began = time.monotonic()
    job = _call("POST", "/v1/jobs", key, {"input": {"prompt": "Make it winter", "image_urls": [SAMPLE]}})
    while job["finished_at"] is None:
        assert time.monotonic() - began < PATIENCE_SECONDS, worker.log.read_text()
        job = _call("GET", f"/v1/jobs/{job['id']}", key)
    assert job["status"] == "completed", job
    return job


def _call(method: str, path: str, key: str, body: object = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:8000{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def _megabytes(folder: Path) -> float:
    return sum(_sizes(folder)) / 1e6


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, files in os.walk(folder):
        for name in files:
            yield Path(place, name).lstat().st_size


@contextlib.asynccontextmanager
async def _by_tcp(unix_socket: str) -> AsyncIterator[int]:
    """A port that leads to an embedded server's socket: from inside, its folder cannot be seen."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(unix_socket)
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))

    port = reserve_port()
    async with await asyncio.start_server(relay, "127.0.0.1", port):
        yield port


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
