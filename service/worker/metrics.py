"""The worker's `GET /metrics`, on a port of its own; a worker listens to nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from service.database import Database
from service.jobs.gauges import gauges
from service.settings import Settings
from service.telemetry import log, metrics
from service.worker.engine import Engine


@asynccontextmanager
async def telling_metrics(settings: Settings, engine: Engine) -> AsyncIterator[None]:
    """For the length of the block, if the settings name a port; OSError if somebody else has it."""
    if not settings.metrics_port:
        yield
        return
    database = Database(settings.database_url, connections=1)

    async def show(_: web.Request) -> web.Response:
        now = [*engine.gauges(), *await gauges(database)]
        return web.Response(body=metrics.exposition(now), headers={"content-type": metrics.CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", show)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=settings.metrics_port).start()
        log.info("metrics.listening", port=settings.metrics_port)
        yield
    finally:
        await runner.cleanup()
        await database.close()
