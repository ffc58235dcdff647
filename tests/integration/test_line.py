"""The line of accepted jobs: what a claim reads does not grow with what waits, nor with who could wait."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from service.database import Database
from service.encryption import Vault
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store import claims, line
from service.jobs.store.claims import Owner
from service.tenants import tokens
from service.tenants.models import PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID
from service.tenants.tenant import Tenant

Accepting = Callable[..., Awaitable[Job]]
NewTenant = Callable[[str], Awaitable[Tenant]]
OWNER = Owner(name="w", lease=30.0)
VAULT = Vault([bytes(32)])
BACKLOG = 5_000
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def single(accepted: Accepting, another_tenant: NewTenant) -> Job:
    """The only job of a tenant that is not the one with the backlog."""
    return await accepted(owner=await another_tenant("small"))


async def pile(database: Database, like: Job, *, status: str = "accepted", **columns: str) -> None:
    """Many more jobs like this one, older than any made since; columns are SQL."""
    values = {"priority": "priority", "due_at": "due_at", "expires_at": "expires_at", "waiting_for": "NULL"}
    values |= columns
    async with database.driver() as driver:
        await driver.execute(
            f"""
            INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_events, metadata,
                              on_unconfirmed, status, {", ".join(values)})
            SELECT uuidv7(interval '-1 day'), tenant_id, mode, model, input, warnings, callback_events,
                   metadata, on_unconfirmed, '{status}', {", ".join(values.values())}
            FROM jobs, generate_series(1, {BACKLOG}) WHERE jobs.id = $1
            """,
            like.id,
        )
        await driver.execute("VACUUM ANALYZE jobs")


async def take(
    database: Database, *, token_id: UUID = PLATFORM_TOKEN_ID, places: int = 100, room: int = 10
) -> list[Job]:
    async with database.transaction() as connection:
        claim = await claims.take_waiting(
            connection, OWNER, token_id=token_id, places=places, room=room, now=None
        )
    return list(claim.jobs)


async def rows_read(database: Database) -> int:
    """How many rows of jobs the claim would look at."""
    given = {"token": PLATFORM_TOKEN_ID, "places": 100, "room": 10, "owner": "w", "lease": 8.0, "now": None}
    async with database.engine.connect() as connection:
        sql = f"EXPLAIN (ANALYZE, FORMAT JSON) {claims._TAKE_WAITING.element}"
        plan = (await connection.execute(text(sql), given)).scalar_one()[0]["Plan"]
        await connection.rollback()
    return sum(_looked_at(node) for node in _walk(plan) if node.get("Relation Name") == "jobs")


def _looked_at(node: dict[str, Any]) -> int:
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return round(rows * node["Actual Loops"]) if "Scan" in node["Node Type"] else 0


def _walk(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(found for child in node.get("Plans", []) for found in _walk(child))]


async def test_a_single_job_is_claimed_first_and_without_reading_anothers_backlog(
    database: Database, accepted: Accepting, single: Job
) -> None:
    await pile(database, await accepted())
    assert await rows_read(database) <= 50
    taken = await take(database, room=2)
    assert single.id in {job.id for job in taken}


async def test_tenants_without_waiting_jobs_cost_a_claim_nothing(database: Database, single: Job) -> None:
    async with database.driver() as driver:
        await driver.execute(
            "INSERT INTO tenants (id, name) SELECT uuidv7(), 'idle-' || n FROM generate_series(1, 1000) AS n"
        )
        await driver.execute("VACUUM ANALYZE tenants")
    assert await rows_read(database) <= 5
    assert [job.id for job in await take(database)] == [single.id]


HIDING = {
    "not due": {"waiting_for": "'backoff'", "due_at": "now() + interval '1 hour'"},
    "overdue": {"expires_at": "now() - interval '1 s'"},
    "put back and overdue": {
        "waiting_for": "'backoff'",
        "due_at": "now() - interval '1 s'",
        "expires_at": "now() - interval '1 s'",
    },
}


@pytest.mark.parametrize("hiding", HIDING)
async def test_what_may_not_be_claimed_hides_nothing_that_stands_behind_it(
    database: Database, accepted: Accepting, hiding: str
) -> None:
    job = await accepted()
    await pile(database, job, priority="2", **HIDING[hiding])
    async with database.statement() as connection:
        since, count = LONG_AGO, 1
        while count:
            count, since = await line.set_aside(connection, since=since, most=BACKLOG // 2, now=None)
        await line.let_in(connection, most=BACKLOG, now=None)
    async with database.driver() as driver:
        await driver.execute("VACUUM ANALYZE jobs")
    assert await rows_read(database) <= 5
    assert [job.id for job in await take(database)] == [job.id]


async def test_before_the_overdue_are_set_aside_a_claim_reads_only_so_far(
    database: Database, accepted: Accepting, single: Job
) -> None:
    await pile(database, await accepted(), priority="2", **HIDING["overdue"])
    assert await rows_read(database) <= line.FARTHEST + 5
    assert [job.id for job in await take(database)] == [single.id]


async def test_what_is_due_again_stands_in_line_by_its_age_and_not_by_its_wait(
    database: Database, accepted: Accepting
) -> None:
    first, second = await accepted(), await accepted()
    async with database.driver() as driver:
        await driver.execute("UPDATE jobs SET waiting_for = 'backoff' WHERE id = $1", first.id)
    assert [job.id for job in await take(database, room=1)] == [second.id]
    async with database.statement() as connection:
        await line.let_in(connection, most=10, now=None)
    assert [job.id for job in await take(database, room=1)] == [first.id]


async def test_a_job_that_a_worker_has_is_not_set_aside(database: Database, accepted: Accepting) -> None:
    await accepted()
    (job,) = await take(database)
    later = job.expires_at + timedelta(seconds=1)
    async with database.statement() as connection:
        assert (await line.set_aside(connection, since=LONG_AGO, most=10, now=later))[0] == 0
        await connection.execute(text("UPDATE jobs SET lease_until = now() - interval '1 s'"))
        assert (await line.set_aside(connection, since=LONG_AGO, most=10, now=later))[0] == 1


async def test_a_tenant_with_a_token_of_its_own_claims_under_it_and_not_under_the_platforms(
    database: Database, accepted: Accepting, tenant: Tenant, another_tenant: NewTenant
) -> None:
    own = await another_tenant("own")
    async with database.transaction() as connection:
        token_id = await tokens.put(connection, VAULT, own.id, token="t", max_in_flight=2)
    shared = await accepted()
    for _ in range(3):
        await accepted(owner=own)
    async with database.statement() as connection:
        assert await line.waiting_accounts(connection) == {PLATFORM_TOKEN_ID, token_id}
    assert [job.id for job in await take(database)] == [shared.id]
    taken = await take(database, token_id=token_id, places=2)
    assert [(job.tenant_id, job.token_id) for job in taken] == [(own.id, token_id)] * 2
    assert await take(database, token_id=token_id, places=2) == []

    async with database.transaction() as connection:
        await tokens.remove(connection, own.id)
    assert await take(database, token_id=token_id) == []
    assert [job.tenant_id for job in await take(database)] == [own.id]


async def test_jobs_of_test_keys_are_claimed_for_the_scripted_upstream_only(
    database: Database, accepted: Accepting, tenant: Tenant
) -> None:
    await pile(database, await accepted(priority="high"))
    test = await accepted(owner=Tenant(id=tenant.id, mode="test"), priority="low")
    async with database.statement() as connection:
        assert await line.waiting_accounts(connection) == {PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID}
    taken = await take(database, token_id=SCRIPTED_TOKEN_ID)
    assert [(job.id, job.token_id) for job in taken] == [(test.id, SCRIPTED_TOKEN_ID)]
    assert {job.mode for job in await take(database)} == {"live"}


async def test_nothing_that_has_left_the_line_is_in_it(database: Database, accepted: Accepting) -> None:
    job = await accepted()
    await pile(database, job, status="accepted", waiting_for="'deadline'")
    async with database.driver() as driver:
        await driver.execute("DELETE FROM job_events WHERE job_id = $1", job.id)
        await driver.execute("DELETE FROM jobs WHERE id = $1", job.id)
    async with database.statement() as connection:
        assert await line.waiting_accounts(connection) == set()
        await line.let_in(connection, most=BACKLOG, now=None)
        assert await line.waiting_accounts(connection) == set()
    assert job.status is Status.ACCEPTED
