"""`waiting_for` and `queue_position` of accepted jobs, while others hold the places they need."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
from litestar import Litestar
from sqlalchemy import text

from service.clock import postgres_time
from service.database import Database
from service.encryption import Vault
from service.jobs.job import Job
from service.jobs.store import moves, waiting
from service.jobs.store.claims import Owner, take_waiting
from service.jobs.waiting import Line
from service.tenants import store, tokens
from service.tenants.models import PLATFORM_TOKEN_ID
from service.tenants.tenant import Tenant

Accepting = Callable[..., Awaitable[Job]]
OWNER = Owner(name="worker", lease=60)


async def claimed(database: Database, room: int) -> list[Job]:
    async with database.transaction() as connection:
        claim = await take_waiting(
            connection, OWNER, token_id=PLATFORM_TOKEN_ID, places=99, room=room, now=None
        )
    assert len(claim.jobs) == room
    return list(claim.jobs)


async def waits(api: httpx.AsyncClient, job: Job) -> str | None:
    """What it waits for, which a list says too."""
    shown = (await api.get(f"/v1/jobs/{job.id}")).json()
    [listed] = [other for other in (await api.get("/v1/jobs")).json()["data"] if other["id"] == str(job.id)]
    assert listed["waiting_for"] == shown["waiting_for"]
    reason: str | None = shown["waiting_for"]
    return reason


async def position(api: httpx.AsyncClient, job: Job) -> int | None:
    place: int | None = (await api.get(f"/v1/jobs/{job.id}")).json()["queue_position"]
    return place


async def test_a_job_that_is_about_to_be_claimed_waits_for_nothing(
    api: httpx.AsyncClient, accepted: Accepting
) -> None:
    assert await waits(api, await accepted()) is None


async def test_a_job_waits_for_its_tenants_limit(
    api: httpx.AsyncClient, accepted: Accepting, database: Database, tenant: Tenant
) -> None:
    async with database.transaction() as connection:
        await store.change(connection, tenant.id, limits={"max_in_flight": 2}, actor="test")
    jobs = [await accepted() for _ in range(3)]
    await claimed(database, 1)
    assert await waits(api, jobs[2]) is None

    # Claimed and not sent yet holds a place as well.
    await claimed(database, 1)
    assert [await waits(api, job) for job in jobs] == [None, None, "tenant_limit"]


async def test_a_job_waits_for_the_upstreams_limit_that_others_use_up(
    api: httpx.AsyncClient,
    app: Litestar,
    accepted: Accepting,
    another_tenant: Callable[[str], Awaitable[Tenant]],
    database: Database,
) -> None:
    app.state.parts = replace(app.state.parts, line=Line(places=2, clock=postgres_time))
    other = await another_tenant("other")
    for _ in range(2):
        await accepted(owner=other)
    held = await claimed(database, 2)
    mine = await accepted()
    assert await waits(api, mine) == "upstream_limit"

    async with database.transaction() as connection:
        taken = await moves.intend(connection, held[0], OWNER)
        assert taken is not None
        taken = await moves.take(connection, taken, OWNER, upstream_id="up-1")
        assert taken is not None
        assert await waits(api, mine) == "upstream_limit"
        assert await moves.cancel(connection, taken, asked=False, now=None)
    assert await waits(api, mine) is None


async def test_a_job_waits_for_an_account_in_trouble(
    api: httpx.AsyncClient, accepted: Accepting, database: Database
) -> None:
    job = await accepted()
    for trouble, told in (("no balance", "upstream_account"), (None, None)):
        async with database.transaction() as connection:
            await tokens.report(connection, PLATFORM_TOKEN_ID, trouble=trouble)
        assert await waits(api, job) == told


async def test_a_tenant_with_an_account_of_its_own_waits_for_that_one(
    api: httpx.AsyncClient, accepted: Accepting, database: Database, tenant: Tenant
) -> None:
    async with database.transaction() as connection:
        own = await tokens.put(connection, Vault([bytes(32)]), tenant.id, token="t", max_in_flight=1)
        await tokens.report(connection, PLATFORM_TOKEN_ID, trouble="no balance")
    first, second = await accepted(), await accepted()
    assert await waits(api, first) is None

    async with database.transaction() as connection:
        claim = await take_waiting(connection, OWNER, token_id=own, places=1, room=9, now=None)
        assert [job.id for job in claim.jobs] == [first.id]
    assert await waits(api, second) == "upstream_limit"

    async with database.transaction() as connection:
        await tokens.report(connection, own, trouble="the token was revoked")
    assert await waits(api, second) == "upstream_account"


async def test_a_job_that_was_put_back_waits_for_that_until_it_is_due(
    api: httpx.AsyncClient, accepted: Accepting, database: Database
) -> None:
    await accepted()
    [job] = await claimed(database, 1)
    async with database.transaction() as connection:
        submitting = await moves.intend(connection, job, OWNER)
        assert submitting is not None
        back = await moves.put_back(
            connection,
            submitting,
            reason="refused",
            waiting_for="backoff",
            wait=60,
            unconfirmed=False,
            now=None,
        )
        assert back is not None
    assert await waits(api, job) == "backoff"

    async with database.statement() as connection:
        await connection.execute(text("UPDATE jobs SET due_at = clock_timestamp()"))
    assert await waits(api, job) is None


async def test_the_position_counts_the_tenants_own_jobs_that_go_first(
    api: httpx.AsyncClient,
    accepted: Accepting,
    another_tenant: Callable[[str], Awaitable[Tenant]],
    tenant: Tenant,
    database: Database,
) -> None:
    await accepted(owner=await another_tenant("other"), priority="high")
    await accepted(owner=Tenant(id=tenant.id, mode="test"), priority="high")
    ended = await accepted(priority="high")
    async with database.transaction() as connection:
        await moves.cancel(connection, ended, asked=True, now=None)
    low, first, second = [await accepted(priority=name) for name in ("low", "normal", "normal")]
    high = await accepted(priority="high")

    assert [await position(api, job) for job in (high, first, second, low)] == [0, 1, 2, 3]
    assert await position(api, ended) is None
    listed = (await api.get("/v1/jobs")).json()["data"]
    assert {job["queue_position"] for job in listed} == {None}


async def test_the_position_is_counted_to_a_thousand_and_costs_no_more(
    api: httpx.AsyncClient, accepted: Accepting, database: Database, tenant: Tenant
) -> None:
    await accepted()
    async with database.driver() as driver:
        await driver.execute(MANY)
        await driver.execute("VACUUM ANALYZE jobs")
    last = await accepted()

    assert await position(api, last) == 1_000
    async with database.statement() as connection:
        statement = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {waiting._AHEAD.text}")
        given = {"tenant": tenant.id, "mode": "live", "priority": 1, "id": last.id}
        plan = str((await connection.execute(statement, given)).scalar_one())
    assert "Seq Scan" not in plan
    assert "ix_jobs_ready" in plan


# Most that is stored has ended, and still far more waits than is counted.
MANY = """
INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_events, metadata, priority,
                  on_unconfirmed, expires_at, status, finished_at)
SELECT gen_random_uuid(), tenant_id, mode, model, input, warnings, callback_events, metadata, 2,
       on_unconfirmed, expires_at, CASE WHEN n % 5 = 0 THEN 'accepted' ELSE 'cancelled' END,
       CASE WHEN n % 5 <> 0 THEN now() END
FROM jobs, generate_series(1, 15000) AS n
"""
