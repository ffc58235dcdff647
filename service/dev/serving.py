"""How the simulator and the receiver are run: inside a test's loop, or as a process of their own."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import uvloop
from aiohttp import web

# Enough for an answer that is being written; a request that hangs on purpose is cut.
SHUTDOWN_SECONDS = 0.5


class MissingExtraError(ImportError):
    """A package is missing that only the development servers need."""

    def __init__(self, need: str, package: str) -> None:
        super().__init__(f"{need} needs the package {package}: pip install 'edit-jobs[embedded]'")


@asynccontextmanager
async def serving(application: web.Application, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve until the block ends and yield the base URL. Port 0 lets the system choose one."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        address, bound, *_ = runner.addresses[0]
        yield f"http://[{address}]:{bound}" if ":" in address else f"http://{address}:{bound}"
    finally:
        await runner.cleanup()


def serve_until_signalled(
    server: AbstractAsyncContextManager[str], *, announce: Callable[[str], object] = lambda url: None
) -> None:
    """Block until SIGINT or SIGTERM; `announce` is called with the base URL once it listens."""

    async def stay() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        async with server as url:
            announce(url)
            await stopped.wait()

    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(stay())
