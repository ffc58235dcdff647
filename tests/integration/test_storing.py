"""Requests of a tenant that come together are stored together, and share nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from service.database import Database
from service.errors import AcceptanceUnknownError
from service.ids import uuid7
from service.jobs.request import Request
from service.jobs.storing import Storing, Times
from service.tenants.tenant import Tenant

from .test_accept import REQUEST

WAITING = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'jobs'::regclass"
Another = Callable[[str], Awaitable[Tenant]]


@pytest.fixture
def storing(database: Database) -> Storing:
    return Storing(database)


@asynccontextmanager
async def held_up(database: Database) -> AsyncIterator[Any]:
    """Whatever is stored meanwhile waits; yields a connection that sees who does."""
    async with database.driver() as holder, database.driver() as observer, holder.transaction():
        await holder.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
        yield observer


async def waiting(observer: Any) -> list[int]:
    """The servers of the statements that wait, once there are any."""
    async with asyncio.timeout(5):
        while not (pids := await observer.fetch(WAITING)):
            await asyncio.sleep(0.01)
    return [pid for (pid,) in pids]


def stored_at_once(
    storing: Storing, tenant: Tenant, requests: Sequence[Request]
) -> tuple[list[UUID], list[asyncio.Task[Times]]]:
    """All of them, of which the first goes by itself and the others come while it is under way."""
    ids = [uuid7() for _ in requests]
    tasks = [
        asyncio.create_task(storing.store(tenant, job_id, request, now=None))
        for job_id, request in zip(ids, requests, strict=True)
    ]
    return ids, tasks


async def test_those_who_come_meanwhile_go_in_one_statement(
    storing: Storing, database: Database, tenant: Tenant
) -> None:
    requests = [replace(REQUEST, external_id=str(number), expires_in=100 + number) for number in range(20)]
    async with held_up(database) as observer:
        ids, tasks = stored_at_once(storing, tenant, requests)
        assert len(await waiting(observer)) == 1
    times = await asyncio.gather(*tasks)

    async with database.driver() as driver:
        rows = await driver.fetch(
            "SELECT id, external_id, created_at, expires_at, xmin::text FROM jobs ORDER BY id"
        )
        labels = await driver.fetchval("SELECT count(*) FROM job_labels")
        entries = await driver.fetchval("SELECT count(*) FROM job_events")
    assert [row["id"] for row in rows] == ids
    assert [row["external_id"] for row in rows] == [request.external_id for request in requests]
    assert [(row["created_at"], row["expires_at"]) for row in rows] == times
    assert (labels, entries) == (20, 20)
    assert len({row["xmin"] for row in rows}) == 2


async def test_a_fault_is_its_own_requests_alone(
    storing: Storing, database: Database, tenant: Tenant
) -> None:
    requests = [REQUEST, REQUEST, replace(REQUEST, on_unconfirmed="guess"), REQUEST]
    async with held_up(database):
        ids, tasks = stored_at_once(storing, tenant, requests)
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(outcome, asyncpg.CheckViolationError) for outcome in outcomes] == [
        False,
        False,
        True,
        False,
    ]
    async with database.driver() as driver:
        rows = await driver.fetch("SELECT id FROM jobs ORDER BY id")
    assert [row["id"] for row in rows] == [ids[0], ids[1], ids[3]]


async def test_a_caller_who_goes_away_takes_nobody_along(
    storing: Storing, database: Database, tenant: Tenant
) -> None:
    async with held_up(database) as observer:
        _, tasks = stored_at_once(storing, tenant, [REQUEST] * 4)
        await waiting(observer)
        tasks[0].cancel()
        tasks[2].cancel()
        await asyncio.wait([tasks[0], tasks[2]])
    await asyncio.gather(tasks[1], tasks[3])
    assert await asyncio.wait_for(storing.store(tenant, uuid7(), REQUEST, now=None), 5)


async def test_each_whose_statement_was_lost_is_told_of_its_own_job(
    storing: Storing, database: Database, tenant: Tenant
) -> None:
    async with held_up(database) as observer:
        ids, tasks = stored_at_once(storing, tenant, [REQUEST] * 3)
        (first,) = await waiting(observer)
        await observer.execute("SELECT pg_terminate_backend($1)", first)
        await asyncio.wait([tasks[0]])
        (second,) = await waiting(observer)
        await observer.execute("SELECT pg_terminate_backend($1)", second)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    for job_id, outcome in zip(ids, outcomes, strict=True):
        assert isinstance(outcome, AcceptanceUnknownError)
        assert str(job_id) in outcome.detail


async def test_tenants_do_not_wait_for_one_another(
    storing: Storing, database: Database, tenant: Tenant, another_tenant: Another
) -> None:
    other = await another_tenant("other")
    async with held_up(database) as observer:
        _, tasks = stored_at_once(storing, tenant, [REQUEST])
        _, others = stored_at_once(storing, other, [REQUEST])
        async with asyncio.timeout(5):
            while len(await waiting(observer)) < 2:
                await asyncio.sleep(0.01)
    await asyncio.gather(*tasks, *others)
