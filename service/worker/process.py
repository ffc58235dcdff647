"""The process of `edit-jobs worker`: until SIGTERM or SIGINT, then an orderly end."""

import asyncio
import signal

import uvloop

from service.settings import Settings
from service.worker.engine import Engine
from service.worker.hearing import hear
from service.worker.metrics import telling_metrics


def run(settings: Settings) -> None:
    """Work until told to stop."""
    uvloop.run(_work(settings))


async def _work(settings: Settings) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    engine = Engine(settings)
    async with telling_metrics(settings, engine):
        engine.start()
        hearing = asyncio.create_task(hear(engine, settings))
        await told.wait()
        hearing.cancel()
        await asyncio.wait([hearing])
        await engine.stop()
