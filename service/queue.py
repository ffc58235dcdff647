"""The bell: a task in Redis that carries no data and says only that there is something to do.

What is to be done stands in Postgres, so a bell may be lost, rung twice or heard by nobody: a worker's tick
finds the same a second later. Ringing never waits and never fails.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable
from typing import Any, cast

import msgspec
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.constants import expires_extra_ms, job_key_prefix
from arq.jobs import serialize_job
from arq.utils import timestamp_ms
from redis.exceptions import RedisError

from service.telemetry import log, metrics

QUEUE = "edit-jobs"
RING = "ring"
QUIET_SECONDS = 0.1
"""Rings that come within this time of one another become one: workers do not listen more often."""
MOST_BELLS = 100
"""With so many unheard ones nobody is listening, and one more would only fill the memory."""
AWAY_SECONDS = 1.0
"""Between two tries to reach a Redis that is away. Until then the workers' ticks find everything."""
_CONNECT_SECONDS = 1
_COMPLAIN_SECONDS = 10.0

# What arq's own `enqueue_job` writes, in one call instead of seven.
_RING = """
if redis.call('zcard', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('psetex', KEYS[2], ARGV[2], ARGV[3])
    redis.call('zadd', KEYS[1], ARGV[4], ARGV[5])
end
"""

serialize = msgspec.json.encode
deserialize = msgspec.json.decode


def redis_settings(url: str) -> RedisSettings:
    """Where Redis is, and how long to wait for it."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = _CONNECT_SECONDS
    settings.conn_retries = 0
    settings.retry_on_error = [RedisError, OSError]
    return settings


async def connect(url: str) -> ArqRedis:
    """A pool of connections that speaks this queue's format."""
    return await create_pool(
        redis_settings(url), default_queue_name=QUEUE, job_serializer=serialize, job_deserializer=deserialize
    )


async def disconnect(redis: ArqRedis) -> None:
    """Close all connections of the pool; by itself a client closes only what it made itself."""
    await redis.aclose(close_connection_pool=True)


class Bell:
    """Rings so that some worker looks for work. One per process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis: ArqRedis | None = None
        self._wanted = False
        self._ringing: asyncio.Task[None] | None = None
        self._complained = 0.0

    def ring(self) -> None:
        """Say that there is work: at once, and once more if this is called again while that is under way."""
        self._wanted = True
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring_while_wanted(), name="bell")

    async def is_reachable(self, *, within: float) -> bool:
        """Whether Redis answers within so many seconds."""
        try:
            async with asyncio.timeout(within):
                await (await self._connected()).ping()
        except (RedisError, OSError):
            return False
        return True

    async def close(self) -> None:
        """Let what was rung leave, then disconnect."""
        if self._ringing is not None:
            await asyncio.wait([self._ringing], timeout=_CONNECT_SECONDS)
            self._ringing.cancel()
            await asyncio.wait([self._ringing])
        if self._redis is not None:
            await disconnect(self._redis)

    async def _ring_while_wanted(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                redis = await self._connected()
                await _ring(redis)
            except (RedisError, OSError) as error:
                metrics.BELLS.labels("lost").inc()
                self._complain(error)
                await asyncio.sleep(AWAY_SECONDS)
            else:
                metrics.BELLS.labels("rung").inc()
                await asyncio.sleep(QUIET_SECONDS)

    async def _connected(self) -> ArqRedis:
        if self._redis is None:
            self._redis = await connect(self._url)
        return self._redis

    def _complain(self, error: Any) -> None:
        now = time.monotonic()
        if now - self._complained > _COMPLAIN_SECONDS:
            self._complained = now
            log.warning("redis.away", error=str(error)[:200])


async def _ring(redis: ArqRedis) -> None:
    """Put a task into the queue, unless nobody is listening."""
    now, job_id = timestamp_ms(), secrets.token_hex(8)
    task = serialize_job(RING, (), {}, None, now, serializer=serialize)
    more = (str(MOST_BELLS), str(expires_extra_ms), task.decode(), str(now), job_id)
    await cast("Awaitable[object]", redis.eval(_RING, 2, QUEUE, job_key_prefix + job_id, *more))
