"""Requests counted in a real Redis, by several processes' limiters at once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis as Client
from structlog.testing import capture_logs

from service.dev.embedded import Redis
from service.ids import uuid7
from service.rates import Rates

PATIENCE = 5.0
"""More than any answer takes on a busy machine: only what is really away lets requests through."""


@pytest.fixture
async def limiters(redis_url: str) -> AsyncIterator[list[Rates]]:
    """As three processes have them."""
    made = [Rates(redis_url, patience=PATIENCE) for _ in range(3)]
    yield made
    for rates in made:
        await rates.close()


class Watched:
    """Knows in which second of Redis's clock something happened, if that is certain."""

    def __init__(self, url: str) -> None:
        self._client: Any = Client.from_url(url)

    async def second(self) -> int:
        return int((await self._client.time())[0])

    async def calls(self) -> int:
        stats = await self._client.info("commandstats")
        return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])

    async def begin_of_second(self) -> None:
        """Wait until a second has just begun."""
        micros = int((await self._client.time())[1])
        await asyncio.sleep((1_000_000 - micros) / 1_000_000 + 0.005)

    async def close(self) -> None:
        await self._client.aclose()


@pytest.fixture
async def watched(redis_url: str) -> AsyncIterator[Watched]:
    made = Watched(redis_url)
    yield made
    await made.close()


async def test_all_limiters_together_let_through_exactly_the_limit(
    limiters: list[Rates], watched: Watched
) -> None:
    for limit in (1, 7, 100):
        tenant_id = uuid7()
        while True:
            await watched.begin_of_second()
            second = await watched.second()
            standings = await asyncio.gather(
                *(rates.take(tenant_id, limit=limit) for _ in range(limit) for rates in limiters)
            )
            if await watched.second() == second:
                break
        assert sum(standing.is_allowed for standing in standings) == limit
        assert {standing.limit for standing in standings} == {limit}
        assert not any(standing.remaining for standing in standings if not standing.is_allowed)


async def test_over_seconds_never_more_than_the_limit_is_let_through_in_each(
    limiters: list[Rates], watched: Watched
) -> None:
    tenant_id, limit, allowed = uuid7(), 60, 0
    first, until = await watched.second(), time.monotonic() + 2.5

    async def press(rates: Rates) -> int:
        passed = 0
        while time.monotonic() < until:
            passed += (await rates.take(tenant_id, limit=limit)).is_allowed
            await asyncio.sleep(0.002)
        return passed

    allowed = sum(await asyncio.gather(*map(press, limiters)))
    seconds = await watched.second() - first + 1

    assert allowed <= limit * seconds
    # Too early by no more than what others hold: a tenth of it, and one each.
    assert allowed >= (limit * 0.9 - len(limiters)) * (seconds - 2)


async def test_most_requests_ask_nobody(limiters: list[Rates], watched: Watched) -> None:
    rates, tenant_id, before = limiters[0], uuid7(), await watched.calls()
    for _ in range(2_000):
        assert (await rates.take(tenant_id, limit=1_000_000)).is_allowed
    assert await watched.calls() - before < 500


async def test_tenants_are_counted_apart(limiters: list[Rates]) -> None:
    for _ in range(3):
        assert (await limiters[0].take(uuid7(), limit=1)).is_allowed


async def test_the_next_second_begins_anew_and_with_the_limit_of_then(
    limiters: list[Rates], watched: Watched
) -> None:
    tenant_id, rates = uuid7(), limiters[0]

    async def allowed(limit: int) -> int:
        while True:
            await watched.begin_of_second()
            second = await watched.second()
            standings = [await rates.take(tenant_id, limit=limit) for _ in range(12)]
            if await watched.second() == second:
                return sum(standing.is_allowed for standing in standings)

    assert [await allowed(5), await allowed(10), await allowed(2)] == [5, 10, 2]


async def test_what_remains_is_told(limiters: list[Rates], watched: Watched) -> None:
    tenant_id = uuid7()
    while True:
        await watched.begin_of_second()
        second = await watched.second()
        told = [(await limiters[0].take(tenant_id, limit=3)).remaining for _ in range(4)]
        if await watched.second() == second:
            break
    assert told == [2, 1, 0, 0]


async def test_without_redis_everything_is_let_through_and_counted_as_such(
    redis: Redis, redis_url: str
) -> None:
    rates, tenant_id = Rates(redis_url), uuid7()
    assert (await rates.take(tenant_id, limit=1)).is_allowed
    redis.stop()
    uncounted = REGISTRY.get_sample_value("edit_jobs_uncounted_requests_total") or 0

    with capture_logs() as logs:
        async with asyncio.timeout(5):
            while (REGISTRY.get_sample_value("edit_jobs_uncounted_requests_total") or 0) == uncounted:
                await rates.take(tenant_id, limit=1)
                await asyncio.sleep(0.01)
        began = time.monotonic()
        standings = [await rates.take(tenant_id, limit=1) for _ in range(100)]
    assert Counter(standing.is_allowed for standing in standings) == {True: 100}
    assert time.monotonic() - began < 1, "nobody waits for what is known to be away"
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["rates.open"]

    redis.start()
    async with asyncio.timeout(15):
        while (await rates.take(tenant_id, limit=1)).is_allowed:
            await asyncio.sleep(0.01)
    await rates.close()


async def test_a_redis_that_hangs_holds_requests_up_for_a_moment_only() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    rates, began = Rates(f"redis://127.0.0.1:{port}", patience=0.1), time.monotonic()
    standings = await asyncio.gather(*(rates.take(UUID(int=1), limit=1) for _ in range(50)))
    assert all(standing.is_allowed for standing in standings)
    assert time.monotonic() - began < 2
    await rates.close()
    server.close()
    await server.wait_closed()
