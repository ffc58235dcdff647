"""What takes long waits its turn: one tenant's long reads leave connections for all others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import pytest
from harness.deliveries import Clock, Senders
from sqlalchemy import text

from service.database import Database, engine
from service.errors import NotFoundError, UnavailableError
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks import replay
from service.webhooks.forms import USUALLY_REPLAYED, Window

CONNECTIONS = 8
LONG = text("SELECT pg_sleep(60)")


@pytest.fixture
async def pool(api_database_url: str) -> AsyncIterator[Database]:
    pool = Database(api_database_url, connections=CONNECTIONS)
    yield pool
    await pool.close()


async def under_way(database: Database) -> int:
    async with database.statement() as connection:
        found = await connection.execute(
            text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60%'")
        )
        return int(found.scalar_one())


async def test_long_reads_leave_a_quarter_to_each_tenant_and_half_to_what_is_short(
    database: Database, pool: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 2)

    async def read(tenant_id: UUID) -> None:
        async with pool.of_tenant_at_length(tenant_id) as connection:
            await connection.execute(LONG)

    async def begin(count: int) -> list[asyncio.Task[None]]:
        tenant_id = uuid7()
        return [asyncio.create_task(read(tenant_id)) for _ in range(count)]

    greedy = await begin(20)
    refused, _ = await asyncio.wait(greedy, timeout=15, return_when=asyncio.FIRST_COMPLETED)
    assert await under_way(database) == CONNECTIONS // 4
    others = [*await begin(20), *await begin(20)]
    async with asyncio.timeout(15):
        while await under_way(database) < CONNECTIONS // 2:
            await asyncio.sleep(0.02)
        async with pool.of_tenant(uuid7()) as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    await asyncio.wait(others, timeout=15, return_when=asyncio.FIRST_COMPLETED)
    assert await under_way(database) == CONNECTIONS // 2

    for task in (*greedy, *others):
        task.cancel()
    ended = await asyncio.gather(*greedy, *others, return_exceptions=True)
    assert refused
    for one in refused:
        assert isinstance(one.exception(), UnavailableError)
    assert {type(one) for one in ended} == {UnavailableError, asyncio.CancelledError}
    # Whoever gave up holds no turn.
    async with pool.of_tenant_at_length(uuid7()) as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


class Silent:
    def ring(self) -> None:
        pass


async def test_a_replay_waits_its_turn_for_each_stretch_and_what_it_can_refuse_at_once_does_not(
    pool: Database, senders: Senders, tenant: Tenant, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.5)
    endpoint = await senders.endpoint("https://receiver.example/hook")
    window = Window(clock.now - timedelta(hours=1), None, frozenset(USUALLY_REPLAYED))
    async with AsyncExitStack() as turns:
        for _ in range(CONNECTIONS // 4):
            await turns.enter_async_context(pool.of_tenant_at_length(tenant.id))
        with pytest.raises(NotFoundError):
            await replay.replay(pool, tenant, uuid7(), window, bell=Silent(), clock=clock)
        with pytest.raises(UnavailableError):
            await replay.replay(pool, tenant, endpoint, window, bell=Silent(), clock=clock)
    assert await replay.replay(pool, tenant, endpoint, window, bell=Silent(), clock=clock) == 0
