"""The production process of the API: one socket, one or more processes that share it."""

import os
import signal
import sys
import tempfile
from functools import partial

import uvicorn
from litestar import Litestar
from uvicorn.supervisors import Multiprocess

from service import telemetry
from service.api.app import create_app
from service.api.protocol import Protocol
from service.settings import Settings
from service.telemetry import log
from service.telemetry.metrics import SHARED_FOLDER

# Longer than load balancers keep a connection idle (60 s as a rule): one that is closed first from here
# may just be taking the next request, which then fails.
KEEP_ALIVE_SECONDS = 75
# Enough for a cancel that is held for its outcome.
GRACE_SECONDS = 15


def run(settings: Settings, *, host: str, port: int, processes: int = 1) -> None:
    """Serve until SIGTERM or SIGINT; what is being answered is answered first."""
    config = uvicorn.Config(
        partial(_application, settings),
        factory=True,
        host=host,
        port=port,
        workers=processes,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        # URLs that are handed out begin with PUBLIC_URL, and nobody's address is looked at.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    listener = config.bind_socket()
    listener.listen(config.backlog)
    host, port = listener.getsockname()[:2]
    log.info("api.listening", url=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    # The server raises the signal that stopped it once more when all is done, and that is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    try:
        if processes > 1:
            # Whichever of them is asked for its metrics tells what all have counted, in files here.
            with tempfile.TemporaryDirectory(prefix="edit-jobs-metrics-") as folder:
                os.environ[SHARED_FOLDER] = folder
                Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        log.info("api.stopped")


def _application(settings: Settings) -> Litestar:
    """In each process anew: what another process had configured is not here."""
    telemetry.configure(level=settings.log_level, form=settings.log_format)
    return create_app(settings)


def _leave(*_: object) -> None:
    sys.exit(0)
