"""DELETE /v1/jobs/{id}: what a job was about is gone everywhere, and that there was one is not."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from harness.deliveries import a_turn
from sqlalchemy import text

from service.database import Database
from service.jobs import telling
from service.jobs.ends import forgotten
from service.jobs.job import Job
from service.jobs.lifecycle import COMPLETE, FAIL, Status
from service.jobs.store import moves
from service.jobs.store.claims import Owner, take_waiting
from service.tenants.models import PLATFORM_TOKEN_ID

OWNER = Owner(name="worker", lease=60)
MARK = "c0ffee"
"""In every text of the request, the output, the error and what the receiver answers."""
REQUEST: dict[str, Any] = {
    "input": {"prompt": MARK, "image_urls": [f"https://pictures.example/{MARK}.png"] * 4},
    "callback_url": f"https://hooks.example/jobs?token={MARK}",
    "external_id": MARK,
    "metadata": {MARK: MARK},
}
LIVING = [Status.ACCEPTED, Status.SUBMITTING, Status.IN_QUEUE, Status.IN_PROGRESS]

Reaching = Callable[[Status], Awaitable[str]]


@pytest.fixture
def reaching(api: httpx.AsyncClient, database: Database) -> Reaching:
    """Accepts a job and brings it to that status as a worker would; returns its id."""

    async def reach(status: Status) -> str:
        job_id = str((await api.post("/v1/jobs", json=REQUEST)).json()["id"])
        async with database.transaction() as c:
            if status is Status.ACCEPTED:
                return job_id
            [job] = (
                await take_waiting(c, OWNER, token_id=PLATFORM_TOKEN_ID, places=9, room=9, now=None)
            ).jobs
            job = there(await moves.intend(c, job, OWNER))
            if status is Status.SUBMITTING:
                return job_id
            job = there(await moves.take(c, job, OWNER, upstream_id="up-1"))
            if status is Status.IN_QUEUE:
                return job_id
            job = there(await moves.start(c, job))
            if status is Status.COMPLETED:
                output = {"images": [f"https://pictures.example/out/{MARK}"]}
                job = there(await moves.complete(c, job, output=output, now=None))
                await telling.tell(c, job, COMPLETE.event, public_url="https://jobs.example")
            if status is Status.FAILED:
                error = replace(forgotten(), message=MARK)
                job = there(await moves.fail(c, job, error=error, now=None))
                await telling.tell(c, job, FAIL.event, public_url="https://jobs.example")
        return job_id

    return reach


def there(job: Job | None) -> Job:
    assert job is not None
    return job


async def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    async with database.statement() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def mentions(database: Database) -> list[str]:
    """The tables with a row in which the mark is left, as text or as bytes."""
    found = []
    for (table,) in await rows(database, "SELECT relname FROM pg_stat_user_tables ORDER BY relname"):
        condition = f"row::text LIKE '%{MARK}%' OR row::text LIKE '%{MARK.encode().hex()}%'"
        if await rows(database, f"SELECT 1 FROM {table} AS row WHERE {condition} LIMIT 1"):
            found.append(table)
    return found


async def sent(database: Database) -> None:
    """One attempt of the delivery that is due, answered with what was sent."""
    [claimed] = (await a_turn(database, room=1)).claimed
    assert (await a_turn(database, claimed, response=MARK.encode())).settled == {claimed.id}


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
async def test_nothing_of_what_it_was_about_is_left_anywhere(
    api: httpx.AsyncClient, database: Database, reaching: Reaching, status: Status
) -> None:
    job_id = await reaching(status)
    await sent(database)
    assert await mentions(database) == [
        "events",
        *(["job_events"] if status is Status.FAILED else []),
        "job_labels",
        "jobs",
        "webhook_attempts",
        "webhook_deliveries",
    ]

    response = await api.delete(f"/v1/jobs/{job_id}")

    assert (response.status_code, response.content) == (204, b"")
    assert await mentions(database) == []


async def test_a_tombstone_says_that_there_was_a_job_and_how_it_ended(
    api: httpx.AsyncClient, database: Database, reaching: Reaching
) -> None:
    job_id = await reaching(Status.COMPLETED)
    times = "created_at, submitted_at, started_at, finished_at, expires_at, upstream_id, status, sequence"
    before = await rows(database, f"SELECT {times} FROM jobs")
    timeline = await rows(database, "SELECT sequence, type, at FROM job_events ORDER BY sequence")

    await api.delete(f"/v1/jobs/{job_id}")

    assert await rows(database, f"SELECT {times} FROM jobs WHERE deleted_at > finished_at") == before
    assert await rows(database, "SELECT sequence, type, at FROM job_events ORDER BY sequence") == timeline


async def test_a_deleted_job_is_not_there_for_callers(api: httpx.AsyncClient, reaching: Reaching) -> None:
    job_id = await reaching(Status.FAILED)
    await api.delete(f"/v1/jobs/{job_id}")

    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry")):
        response = await api.request(method, f"/v1/jobs/{job_id}{path}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert response.json()["detail"] == f"The job {job_id} was deleted."
    assert (await api.get("/v1/jobs")).json()["data"] == []
    assert (await api.get("/v1/jobs?status=failed,completed")).json()["data"] == []


async def test_deleting_it_again_is_no_error(api: httpx.AsyncClient, database: Database) -> None:
    job = (await api.post("/v1/jobs", json=REQUEST)).json()
    await api.post(f"/v1/jobs/{job['id']}/cancel")

    first = await api.delete(f"/v1/jobs/{job['id']}")
    deleted_at = await rows(database, "SELECT deleted_at FROM jobs")
    again = await api.delete(f"/v1/jobs/{job['id']}")

    assert (first.status_code, again.status_code) == (204, 204)
    assert await rows(database, "SELECT deleted_at FROM jobs") == deleted_at


@pytest.mark.parametrize("status", LIVING)
async def test_a_job_that_lives_is_not_deleted(
    api: httpx.AsyncClient, reaching: Reaching, status: Status
) -> None:
    job_id = await reaching(status)

    response = await api.delete(f"/v1/jobs/{job_id}")

    assert (response.status_code, response.json()["code"]) == (409, "not_deletable")
    assert status in response.json()["detail"]
    assert (await api.get(f"/v1/jobs/{job_id}")).json()["input"]["prompt"] == MARK


@pytest.mark.parametrize("under_way", [False, True])
async def test_what_was_not_delivered_yet_is_cancelled(
    api: httpx.AsyncClient, database: Database, reaching: Reaching, under_way: bool
) -> None:
    job_id = await reaching(Status.COMPLETED)
    claimed = (await a_turn(database, room=int(under_way))).claimed
    assert len(claimed) == under_way

    await api.delete(f"/v1/jobs/{job_id}")

    kept = "SELECT url, origin, status, owner, finished_at IS NULL FROM webhook_deliveries"
    assert await rows(database, kept) == [
        ("https://hooks.example/[deleted]", "https://hooks.example", "cancelled", None, False)
    ]
    assert (await a_turn(database, *claimed)).settled == set()


async def test_what_an_endpoint_was_still_to_be_told_is_cancelled_and_its_url_is_kept(
    api: httpx.AsyncClient, database: Database, reaching: Reaching
) -> None:
    job_id = await reaching(Status.COMPLETED)
    async with database.transaction() as connection:
        for number, (status, origin) in enumerate(
            (
                ("pending", "endpoint:1"),
                ("held", "replay:endpoint:2"),
                ("held", "replay:https://again.example"),
            )
        ):
            await connection.execute(
                text(
                    "INSERT INTO webhook_deliveries (id, tenant_id, event_id, job_id, url, origin, status)"
                    " SELECT gen_random_uuid(), tenant_id, id, job_id, :url, :origin, :status FROM events"
                ),
                {"url": f"https://endpoint.example/{number}", "origin": origin, "status": status},
            )

    await api.delete(f"/v1/jobs/{job_id}")

    assert await rows(database, "SELECT url, status FROM webhook_deliveries ORDER BY url") == [
        ("https://again.example/[deleted]", "cancelled"),
        ("https://endpoint.example/0", "cancelled"),
        ("https://endpoint.example/1", "cancelled"),
        ("https://hooks.example/[deleted]", "cancelled"),
    ]


async def test_what_was_delivered_stays_so(
    api: httpx.AsyncClient, database: Database, reaching: Reaching
) -> None:
    job_id = await reaching(Status.COMPLETED)
    await sent(database)
    finished = await rows(database, "SELECT status, attempts, finished_at FROM webhook_deliveries")

    await api.delete(f"/v1/jobs/{job_id}")

    assert finished[0][:2] == ("delivered", 1)
    assert await rows(database, "SELECT status, attempts, finished_at FROM webhook_deliveries") == finished


async def test_only_that_job_is_deleted(
    api: httpx.AsyncClient, database: Database, reaching: Reaching
) -> None:
    other = await reaching(Status.COMPLETED)
    shown = (await api.get(f"/v1/jobs/{other}")).json()
    events = await rows(database, "SELECT * FROM events ORDER BY id")

    await api.delete(f"/v1/jobs/{await reaching(Status.COMPLETED)}")

    assert (await api.get(f"/v1/jobs/{other}")).json() == shown
    assert await rows(database, "SELECT * FROM events WHERE body IS NOT NULL") == events
    assert (await api.get("/v1/jobs")).json()["data"] == [shown]


async def test_the_key_of_a_deleted_job_makes_no_second_one(
    api: httpx.AsyncClient, database: Database
) -> None:
    key = {"Idempotency-Key": "a"}
    job = (await api.post("/v1/jobs", json=REQUEST, headers=key)).json()
    await api.post(f"/v1/jobs/{job['id']}/cancel")
    await api.delete(f"/v1/jobs/{job['id']}")

    again = await api.post("/v1/jobs", json=REQUEST, headers=key)

    assert (again.status_code, again.json()["detail"]) == (404, f"The job {job['id']} was deleted.")
    assert await rows(database, "SELECT count(*) FROM jobs") == [(1,)]


async def test_a_deleted_retry_is_not_made_again(api: httpx.AsyncClient, database: Database) -> None:
    job = (await api.post("/v1/jobs", json=REQUEST)).json()
    await api.post(f"/v1/jobs/{job['id']}/cancel")
    retry = (await api.post(f"/v1/jobs/{job['id']}/retry")).json()
    await api.post(f"/v1/jobs/{retry['id']}/cancel")
    await api.delete(f"/v1/jobs/{retry['id']}")

    again = await api.post(f"/v1/jobs/{job['id']}/retry")

    assert (again.status_code, again.json()["detail"]) == (404, f"The job {retry['id']} was deleted.")
    assert await rows(database, "SELECT count(*) FROM jobs") == [(2,)]
