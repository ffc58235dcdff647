"""arq at work: it hears bells and wakes the engine, and is made anew whenever it dies.

arq's worker ends at a lost Redis, at a `WatchError` and at a hook that raises; none of these may end a
process that looks after thousands of jobs. Every task returns at once, and the time-out is short because
arq keeps a dead worker's tasks for as long as the longest time-out of all.
"""

import asyncio
from typing import Any

from arq.connections import ArqRedis
from arq.worker import Function, Worker, func

from service.queue import QUEUE, RING, connect, deserialize, disconnect, redis_settings, serialize
from service.settings import InvalidSettingsError, Settings, load_for_worker
from service.telemetry import configure, log, metrics
from service.worker.engine import Engine
from service.worker.metrics import telling_metrics

POLL_SECONDS = 0.1
TIMEOUT_SECONDS = 5
PAUSE_SECONDS = 1.0


async def ring(ctx: dict[str, Any]) -> None:
    """There is work: the engine looks for it in Postgres."""
    metrics.BELLS.labels("heard").inc()
    ctx["engine"].wake()


def _function() -> Function:
    return func(ring, name=RING, keep_result=0, timeout=TIMEOUT_SECONDS, max_tries=1)


async def hear(engine: Engine, settings: Settings) -> None:
    """Wake the engine at every bell, for ever; with Redis away the engine's tick does the same."""
    while True:
        try:
            redis = await connect(settings.redis_url)
            worker = _worker(redis, engine)
            try:
                engine.hears_bells = True
                await worker.async_run()
            finally:
                engine.hears_bells = False
                # What it has begun takes milliseconds and would connect again.
                await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
                await disconnect(redis)
        except Exception as error:
            log.warning("bell.deaf", error=str(error)[:200])
        await asyncio.sleep(PAUSE_SECONDS)


def _worker(redis: ArqRedis, engine: Engine) -> Worker:
    # It is never closed, only cancelled: closing deletes a health key that all workers share.
    return Worker(
        functions=[_function()],
        queue_name=QUEUE,
        redis_pool=redis,
        handle_signals=False,
        poll_delay=POLL_SECONDS,
        job_serializer=serialize,
        job_deserializer=deserialize,
        ctx={"engine": engine},
    )


def worker_settings() -> type:
    """What `arq service.worker.WorkerSettings` runs: the same, with arq as the outer process.

    Settings that cannot be used end it with a message, since arq would show a traceback.
    """
    try:
        settings = load_for_worker()
    except InvalidSettingsError as error:
        raise SystemExit(f"error: the settings cannot be used:\n{error}") from None

    async def on_startup(ctx: dict[str, Any]) -> None:
        configure(level=settings.log_level, form=settings.log_format)
        ctx["engine"] = Engine(settings)
        ctx["metrics"] = telling_metrics(settings, ctx["engine"])
        await ctx["metrics"].__aenter__()
        ctx["engine"].start()
        ctx["engine"].hears_bells = True

    async def on_shutdown(ctx: dict[str, Any]) -> None:
        await ctx["engine"].stop()
        await ctx["metrics"].__aexit__(None, None, None)

    attributes = {
        "functions": [_function()],
        "queue_name": QUEUE,
        "redis_settings": redis_settings(settings.redis_url),
        "poll_delay": POLL_SECONDS,
        "job_serializer": serialize,
        "job_deserializer": deserialize,
        "on_startup": on_startup,
        "on_shutdown": on_shutdown,
    }
    return type("WorkerSettings", (), attributes)
