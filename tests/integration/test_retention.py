"""What is old is removed, with all that hangs on it, and only that; what was used stays."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from harness.deliveries import a_turn
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.clock import postgres_time
from service.database import Database
from service.ids import uuid7
from service.jobs import retention, telling
from service.jobs.ends import failed
from service.jobs.job import Job
from service.jobs.lifecycle import COMPLETE, FAIL
from service.jobs.pruning import Pruning
from service.jobs.request import Request
from service.jobs.retention import BusyError, Pruned, prune
from service.jobs.store import accept, moves, pruning
from service.jobs.store.accept import Once
from service.jobs.store.claims import Owner, take_waiting
from service.jobs.usage import usage
from service.tenants.models import PLATFORM_TOKEN_ID
from service.tenants.tenant import Tenant
from service.upstream.outcomes import Failed

Accepting = Callable[..., Awaitable[Job]]
Ending = Callable[..., Awaitable[Job]]
TIMES = ("created_at", "expires_at", "finished_at")
OWNER = Owner(name="worker", lease=60)
TABLES = (
    "jobs", "job_events", "job_labels", "idempotency_keys", "events", "webhook_deliveries",
    "webhook_attempts",
)  # fmt: skip


@pytest.fixture
def ended(database: Database, tenant: Tenant, accepted: Accepting) -> Ending:
    """Accepts a job, brings it to its end so many days ago, and has its webhook delivered."""

    async def end(*, days_ago: float, fails: bool = False, delivered: bool = True, **fields: Any) -> Job:
        job = await accepted(callback_url="https://hooks.example/a", metadata={"team": "ads"}, **fields)
        async with database.transaction() as c:
            [job] = (
                await take_waiting(c, OWNER, token_id=PLATFORM_TOKEN_ID, places=9, room=1, now=None)
            ).jobs
            job = there(await moves.intend(c, job, OWNER))
            job = there(await moves.take(c, job, OWNER, upstream_id="up-1"))
            job = there(await moves.start(c, job))
            if fails:
                job = there(await moves.fail(c, job, error=failed(Failed(message="no")), now=None))
            else:
                job = there(await moves.complete(c, job, output={"images": []}, now=None))
            event = FAIL.event if fails else COMPLETE.event
            await telling.tell(c, job, event, public_url="https://jobs.example")
        if delivered:
            await delivery(database)
        return await aged(database, job, days_ago)

    return end


def there(job: Job | None) -> Job:
    assert job is not None
    return job


async def delivery(database: Database) -> None:
    [claimed] = (await a_turn(database, room=1)).claimed
    assert (await a_turn(database, claimed, response=b"ok")).settled == {claimed.id}


async def aged(database: Database, job: Job, days: float) -> Job:
    """The same, so many days before: its id tells its age, so everything that names it gets another one."""
    async with database.statement() as connection:
        age = {"age": timedelta(days=-days)}
        new = (await connection.execute(text("SELECT uuidv7(CAST(:age AS interval))"), age)).scalar_one()
    old = {"old": job.id, "new": new, "age": timedelta(days=days)}
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in (
            f"UPDATE jobs SET id = :new, {earlier(*TIMES)} WHERE id = :old",
            "UPDATE jobs SET retry_of = :new WHERE retry_of = :old",
            f"UPDATE idempotency_keys SET job_id = :new, {earlier('created_at')} WHERE job_id = :old",
            *(
                f"UPDATE {table} SET job_id = :new WHERE job_id = :old"
                for table in ("job_events", "job_labels", "events", "webhook_deliveries")
            ),
        ):
            names = {name for name in old if f":{name}" in statement}
            await connection.execute(text(statement), {name: old[name] for name in names})
    return replace(job, id=new)


def earlier(*columns: str) -> str:
    return ", ".join(f"{column} = {column} - CAST(:age AS interval)" for column in columns)


async def count(database: Database, table: str) -> int:
    async with database.statement() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def ids(database: Database) -> list[Any]:
    async with database.statement() as connection:
        return list((await connection.execute(text("SELECT id FROM jobs ORDER BY id"))).scalars())


async def pruned(database: Database, *, days: int = 30, is_dry: bool = False) -> Pruned:
    last = Pruned()
    async with aclosing(prune(database, days=days, clock=postgres_time, is_dry=is_dry)) as steps:
        async for step in steps:
            last = step
    return last


async def used(database: Database, tenant: Tenant) -> dict[str, Any]:
    today = datetime.now(UTC).date()
    days = {"since": today - timedelta(days=100), "until": today + timedelta(days=1)}
    by_day = await usage(database, tenant, **days, by="day")
    by_model = await usage(database, tenant, **days, by="model")
    assert by_day["total"] == by_model["total"]
    return by_day


async def test_an_old_job_goes_with_everything_that_hangs_on_it(
    database: Database, tenant: Tenant, ended: Ending, accepted: Accepting
) -> None:
    await ended(days_ago=31)
    await ended(days_ago=31, fails=True)
    kept = await ended(days_ago=29)
    living = await accepted()
    before = await used(database, tenant)

    assert await pruned(database) == Pruned(jobs=2)

    assert await ids(database) == [kept.id, living.id]
    counts = {table: await count(database, table) for table in TABLES}
    assert counts == {
        "jobs": 2,
        "job_events": 6,
        "job_labels": 1,
        "idempotency_keys": 0,
        "events": 1,
        "webhook_deliveries": 1,
        "webhook_attempts": 1,
    }
    assert await used(database, tenant) == before
    assert before["total"]["jobs"] == {"completed": 2, "failed": 1, "cancelled": 0, "expired": 0}


async def test_again_there_is_nothing_left_to_remove(database: Database, ended: Ending) -> None:
    await ended(days_ago=31)
    await pruned(database)
    assert await pruned(database) == Pruned()


async def test_usage_is_added_up_over_several_times(
    database: Database, tenant: Tenant, ended: Ending
) -> None:
    for fails in (False, True, False):
        job = await ended(days_ago=40, fails=fails)
        async with database.statement() as connection:
            cost = text("UPDATE jobs SET cost_usd = 0.012345 WHERE id = :id AND status = 'completed'")
            await connection.execute(cost, {"id": job.id})
        before = await used(database, tenant)
        assert await pruned(database) == Pruned(jobs=1)
        assert await used(database, tenant) == before

    assert await used(database, tenant) | {"from": 0, "to": 0, "data": 0} == {
        "from": 0,
        "to": 0,
        "by": "day",
        "data": 0,
        "total": {
            "jobs": {"completed": 2, "failed": 1, "cancelled": 0, "expired": 0},
            "cost_usd": 0.02469,
            "uncertain_charges": 1,
        },
    }
    assert await count(database, "usage_days") == 2


@pytest.mark.parametrize("status", ["pending", "delivering", "held"])
async def test_nothing_goes_of_which_something_is_still_to_be_delivered(
    database: Database, ended: Ending, status: str
) -> None:
    job = await ended(days_ago=31, delivered=False)
    await ended(days_ago=31, delivered=False)
    owned = ", owner = 'w', lease_until = now(), attempts = 1" if status == "delivering" else ""
    async with database.statement() as connection:
        await connection.execute(
            text("UPDATE webhook_deliveries SET status = 'cancelled', finished_at = now()")
        )
        await connection.execute(
            text(
                f"UPDATE webhook_deliveries SET status = '{status}', finished_at = NULL{owned}"
                " WHERE job_id = :job"
            ),
            {"job": job.id},
        )

    assert await pruned(database) == Pruned(jobs=1, undelivered=1)

    assert await ids(database) == [job.id]
    assert await count(database, "events") == await count(database, "webhook_deliveries") == 1


async def test_a_delivery_that_is_taken_up_again_meanwhile_keeps_its_job(
    database: Database, ended: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(days_ago=31)
    lock = pruning.lock

    async def late(*given: Any, **named: Any) -> Any:
        """Between the look and the lock, somebody asks for one more delivery."""
        async with database.statement() as connection:
            again = "UPDATE webhook_deliveries SET status = 'pending', finished_at = NULL"
            await connection.execute(text(again))
        return await lock(*given, **named)

    monkeypatch.setattr(pruning, "lock", late)
    assert await pruned(database) == Pruned(jobs=0)
    assert await count(database, "webhook_attempts") == 1


async def test_a_retry_outlives_the_job_that_it_retries(
    database: Database, tenant: Tenant, ended: Ending, accepted: Accepting
) -> None:
    old = await ended(days_ago=31, fails=True)
    retry = await accepted()
    async with database.statement() as connection:
        given = {"old": old.id, "id": retry.id}
        await connection.execute(text("UPDATE jobs SET retry_of = :old WHERE id = :id"), given)

    assert await pruned(database) == Pruned(jobs=1)

    async with database.statement() as connection:
        rows = await connection.execute(text("SELECT id, retry_of FROM jobs"))
        assert [tuple(row) for row in rows] == [(retry.id, None)]


async def test_a_deleted_job_goes_too_and_still_counts(
    database: Database, tenant: Tenant, ended: Ending
) -> None:
    job = await ended(days_ago=31)
    async with database.statement() as connection:
        await connection.execute(
            text(
                "UPDATE jobs SET deleted_at = now(), input = '{}', warnings = '[]', metadata = '{}',"
                " external_id = NULL, callback_url = NULL, output = NULL, error = NULL WHERE id = :id"
            ),
            {"id": job.id},
        )
    before = await used(database, tenant)
    assert before["total"]["jobs"]["completed"] == 1
    assert await pruned(database) == Pruned(jobs=1)
    assert await used(database, tenant) == before


async def test_keys_go_after_a_day_and_whoever_may_just_look_one_up_is_waited_for(
    database: Database, tenant: Tenant
) -> None:
    hours = (23.9, 24.9, 25.1, 50)
    for age in hours:
        job_id, once = uuid7(), Once(f"key-{age}", bytes(32))
        async with database.driver() as driver:
            await accept.accept(driver, tenant, job_id, request(), now=None, once=once)
        async with database.statement() as connection:
            aging = f"UPDATE idempotency_keys SET {earlier('created_at')} WHERE key = :key"
            await connection.execute(text(aging), {"age": timedelta(hours=age), "key": once.key})

    # Also where jobs are kept for ever.
    assert await pruned(database, days=0) == Pruned(idempotency_keys=2)

    async with database.statement() as connection:
        keys = (await connection.execute(text("SELECT key FROM idempotency_keys ORDER BY key"))).scalars()
        assert list(keys) == ["key-23.9", "key-24.9"]


def request() -> Request:
    return Request(
        model="blackforestlabs/flux-2/dev/edit", input={}, warnings=[], callback_url=None,
        callback_events=["job.completed"], external_id=None, metadata={}, priority="normal",
        expires_in=60, on_unconfirmed="fail",
    )  # fmt: skip


async def test_other_events_go_by_their_age_and_secrets_by_when_they_last_signed(
    database: Database, tenant: Tenant
) -> None:
    async with database.transaction() as connection:
        for days in (29, 31):
            await connection.execute(
                text(
                    "INSERT INTO events (id, tenant_id, mode, type, is_end, body, created_at)"
                    " SELECT uuidv7(-age), :tenant, 'live', 'endpoint.disabled', false, '', now() - age"
                    " FROM (SELECT CAST(:age AS interval) AS age) AS given"
                ),
                {"tenant": tenant.id, "age": timedelta(days=days)},
            )
        for number, end in enumerate(("NULL", "now() - interval '29 days'", "now() - interval '31 days'")):
            await connection.execute(
                text(
                    "INSERT INTO webhook_secrets (id, tenant_id, sealed, expires_at)"
                    f" VALUES (gen_random_uuid(), :tenant, '{number}', {end})"
                ),
                {"tenant": tenant.id},
            )

    assert await pruned(database) == Pruned(events=1, secrets=1)
    assert await count(database, "events") == 1
    assert await count(database, "webhook_secrets") == 2


async def test_a_dry_run_tells_the_same_and_removes_nothing(database: Database, ended: Ending) -> None:
    await ended(days_ago=31)
    await ended(days_ago=31, delivered=False)
    before = {table: await count(database, table) for table in TABLES}

    dry = await pruned(database, is_dry=True)

    assert dry == Pruned(jobs=1, undelivered=1)
    assert {table: await count(database, table) for table in TABLES} == before
    assert await pruned(database) == dry


async def test_wherever_it_is_cut_off_nothing_is_half_done(
    database: Database, tenant: Tenant, ended: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(days_ago=31)
    before = await used(database, tenant)
    counts = {table: await count(database, table) for table in TABLES}
    removals = pruning._REMOVE
    for number in range(len(removals) + 1):
        broken = (*removals[:number], text("SELECT 1 / (:ids)::int"), *removals[number:])
        monkeypatch.setattr(pruning, "_REMOVE", broken)
        with pytest.raises(DBAPIError):
            await pruned(database)
        assert {table: await count(database, table) for table in TABLES} == counts
        assert await used(database, tenant) == before
    monkeypatch.setattr(pruning, "_REMOVE", removals)
    assert await pruned(database) == Pruned(jobs=1)
    assert await used(database, tenant) == before


async def test_small_steps_reach_everything(
    database: Database, ended: Ending, accepted: Accepting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "JOBS_AT_ONCE", 2)
    kept = [await ended(days_ago=days, delivered=False) for days in (33, 35)]
    for days in (31, 32, 33, 34, 36):
        job = await ended(days_ago=days, delivered=False)
        async with database.statement() as connection:
            await connection.execute(
                text(
                    "UPDATE webhook_deliveries SET status = 'cancelled', finished_at = now()"
                    " WHERE job_id = :job"
                ),
                {"job": job.id},
            )

    steps = [step async for step in prune(database, days=30, clock=postgres_time)]

    assert steps[-1] == Pruned(jobs=5, undelivered=2)
    assert max(after.jobs - before.jobs for before, after in pairwise(steps)) <= 2
    assert await ids(database) == sorted(job.id for job in kept)


async def test_what_somebody_is_at_is_left_for_the_next_time(database: Database, ended: Ending) -> None:
    busy, free = await ended(days_ago=31), await ended(days_ago=31)
    async with database.transaction() as connection:
        await connection.execute(text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": busy.id})
        assert await pruned(database) == Pruned(jobs=1)
    assert await ids(database) == [busy.id]
    # Its deliveries alone are waited for, a second, and then left alone with all of that step.
    await ended(days_ago=31)
    async with database.transaction() as connection:
        await connection.execute(text("SELECT FROM webhook_deliveries FOR UPDATE"))
        assert await pruned(database) == Pruned(jobs=0)
    assert await pruned(database) == Pruned(jobs=2)
    assert free.id not in await ids(database)


async def test_only_one_does_it_at_a_time(database: Database, ended: Ending) -> None:
    await ended(days_ago=31)
    async with aclosing(prune(database, days=30, clock=postgres_time)) as steps:
        await anext(steps)
        with pytest.raises(BusyError):
            await pruned(database)
        assert await pruned(database, is_dry=True) == Pruned(jobs=1)
    assert await pruned(database) == Pruned(jobs=1)


async def test_a_worker_does_it_by_itself_and_tells(database: Database, ended: Ending) -> None:
    await ended(days_ago=31)
    before = REGISTRY.get_sample_value("edit_jobs_pruned_total", {"kind": "jobs"}) or 0
    pruning = Pruning(database, days=30, clock=postgres_time, rand=lambda: 0.5, every=0.01)

    running = asyncio.create_task(pruning.run())
    try:
        async with asyncio.timeout(10):
            while await ids(database):
                await asyncio.sleep(0.01)
            while not REGISTRY.get_sample_value("edit_jobs_last_prune_timestamp_seconds"):
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])

    assert REGISTRY.get_sample_value("edit_jobs_pruned_total", {"kind": "jobs"}) == before + 1
    assert await pruned(database) == Pruned(), "it has let go of the lock"
