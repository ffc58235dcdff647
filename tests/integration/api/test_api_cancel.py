"""POST /v1/jobs/{id}/cancel, in every state a job can be in and with every word the upstream can say."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from service.clock import postgres_time
from service.database import Connection, Database
from service.errors import NotCancellableError
from service.jobs import cancel as cancelling
from service.jobs.cancel import cancel
from service.jobs.ends import forgotten
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store import moves, wishes
from service.jobs.store.claims import Owner, take_waiting
from service.tenants.models import PLATFORM_TOKEN_ID
from service.tenants.tenant import Tenant

Accepting = Callable[..., Awaitable[Job]]
OWNER = Owner(name="worker", lease=60)
AT_UPSTREAM = (Status.SUBMITTING, Status.IN_QUEUE)


class Bell:
    """Counts how often it was rung."""

    def __init__(self) -> None:
        self.rung = 0

    def ring(self) -> None:
        self.rung += 1


async def brought_to(database: Database, status: Status) -> Job:
    """The one job that waits, moved as a worker would."""
    async with database.transaction() as connection:
        [job] = (
            await take_waiting(connection, OWNER, token_id=PLATFORM_TOKEN_ID, places=9, room=9, now=None)
        ).jobs
        job = there(await moves.intend(connection, job, OWNER))
        if status is Status.SUBMITTING:
            return job
        job = there(await moves.take(connection, job, OWNER, upstream_id="up-1"))
        if status is Status.IN_QUEUE:
            return job
        if status is Status.FAILED:
            return there(await moves.fail(connection, job, error=forgotten(), now=None))
        job = there(await moves.start(connection, job))
        if status is Status.COMPLETED:
            return there(await moves.complete(connection, job, output={"image": "https://a.b/c"}, now=None))
        return job


def there(job: Job | None) -> Job:
    assert job is not None
    return job


async def test_a_job_that_waits_here_is_cancelled_at_once_and_told(
    api: httpx.AsyncClient, accepted: Accepting, database: Database
) -> None:
    job = await accepted(callback_url="https://hooks.example/a")

    response = await api.post(f"/v1/jobs/{job.id}/cancel")
    again = await api.post(f"/v1/jobs/{job.id}/cancel")

    shown = response.json()
    assert response.status_code == again.status_code == 200
    assert shown["status"] == "cancelled"
    assert shown["created_at"] < shown["cancel"].pop("requested_at") <= shown["finished_at"]
    assert shown["cancel"] == {"outcome": "cancelled"}
    assert again.json()["finished_at"] == shown["finished_at"]
    events = (await api.get(f"/v1/jobs/{job.id}/events")).json()["data"]
    assert [event["type"] for event in events] == ["job.accepted", "job.cancelled"]
    async with database.statement() as connection:
        told = (await connection.execute(text("SELECT type, is_end FROM events"))).all()
    assert told == [("job.cancelled", True)]


@pytest.mark.parametrize("status", [Status.IN_PROGRESS, Status.COMPLETED, Status.FAILED])
async def test_a_job_that_runs_or_has_ended_is_not_cancelled(
    api: httpx.AsyncClient, accepted: Accepting, database: Database, status: Status
) -> None:
    job = await accepted()
    await brought_to(database, status)

    response = await api.post(f"/v1/jobs/{job.id}/cancel")

    assert (response.status_code, response.json()["code"]) == (409, "not_cancellable")
    assert status in response.json()["detail"]
    shown = (await api.get(f"/v1/jobs/{job.id}")).json()
    assert (shown["status"], shown["cancel"]) == (status, None)


async def held(database: Database, tenant: Tenant, job: Job, bell: Bell, *, hold: float) -> Job:
    return await cancel(
        database,
        tenant,
        job.id,
        bell=bell,
        clock=postgres_time,
        public_url="https://jobs.example",
        hold=hold,
    )


async def the_wish(database: Database) -> Job:
    """The job once somebody wished to cancel it."""
    while True:
        async with database.transaction() as connection:
            if due := await wishes.take_due(connection, most=1):
                return due[0]


async def cancelled(connection: Connection, job: Job) -> Job | None:
    return await moves.cancel(connection, job, asked=False, now=None)


@pytest.mark.parametrize("status", AT_UPSTREAM)
async def test_without_the_upstreams_word_the_wish_stays_pending(
    database: Database, tenant: Tenant, accepted: Accepting, status: Status
) -> None:
    job = await accepted()
    await brought_to(database, status)
    bell = Bell()

    for _ in range(2):
        answered = await held(database, tenant, job, bell, hold=0.06)
        assert (answered.status, answered.cancel_outcome) == (status, "pending")

    assert bell.rung == 2
    async with database.statement() as connection:
        noted = await connection.execute(
            text("SELECT count(*) FROM job_events WHERE type = 'job.cancel_requested'")
        )
        assert noted.scalar_one() == 1


async def test_a_pending_wish_is_answered_202(
    api: httpx.AsyncClient, accepted: Accepting, database: Database, app: Litestar
) -> None:
    app.state.parts = replace(app.state.parts, cancel_hold=0.0)
    job = await accepted()
    await brought_to(database, Status.IN_QUEUE)

    response = await api.post(f"/v1/jobs/{job.id}/cancel")

    shown = response.json()
    assert (response.status_code, shown["status"]) == (202, "in_queue")
    assert shown["cancel"]["outcome"] == "pending"
    assert datetime.fromisoformat(shown["cancel"]["requested_at"])


async def test_the_caller_waits_for_the_upstreams_yes(
    database: Database, tenant: Tenant, accepted: Accepting
) -> None:
    job = await accepted()
    await brought_to(database, Status.IN_QUEUE)
    asking = asyncio.create_task(held(database, tenant, job, Bell(), hold=30))

    wished = await the_wish(database)
    async with database.transaction() as connection:
        there(await cancelled(connection, wished))

    assert (await asking).status is Status.CANCELLED


async def test_only_some_callers_of_a_tenant_are_kept_waiting_at_once(
    database: Database,
    tenant: Tenant,
    accepted: Accepting,
    another_tenant: Callable[[str], Awaitable[Tenant]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cancelling, "MOST_HELD", 1)
    tenants = (tenant, await another_tenant("other"))
    waiting, wishes_of = [], []
    for each in tenants:
        job, bell = await accepted(owner=each), Bell()
        await brought_to(database, Status.IN_QUEUE)
        waiting.append(asyncio.create_task(held(database, each, job, bell, hold=30)))
        wishes_of.append(await the_wish(database))
        async with asyncio.timeout(10):
            while not bell.rung:
                await asyncio.sleep(0.01)
            beyond = await held(database, each, job, Bell(), hold=30)
        assert beyond.cancel_outcome == "pending", "one waits already"

    async with database.transaction() as connection:
        for wished in wishes_of:
            there(await cancelled(connection, wished))
    assert [(await task).status for task in waiting] == [Status.CANCELLED] * 2


@pytest.mark.parametrize("ends", [False, True])
async def test_the_caller_waits_for_the_upstreams_no(
    database: Database, tenant: Tenant, accepted: Accepting, ends: bool
) -> None:
    job = await accepted()
    await brought_to(database, Status.IN_QUEUE)
    asking = asyncio.create_task(held(database, tenant, job, Bell(), hold=30))

    wished = await the_wish(database)
    async with database.transaction() as connection:
        if ends:
            there(await moves.fail(connection, wished, error=forgotten(), now=None))
        else:
            there(await wishes.refuse(connection, wished))

    with pytest.raises(NotCancellableError, match="failed" if ends else "in_queue"):
        await asking


async def test_a_cancelled_job_rings_so_that_its_webhook_leaves(
    database: Database, tenant: Tenant, accepted: Accepting
) -> None:
    job = await accepted()
    bell = Bell()

    assert (await held(database, tenant, job, bell, hold=0)).status is Status.CANCELLED
    assert bell.rung == 1
