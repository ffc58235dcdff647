"""POST /v1/jobs/{id}/retry: the same request once more, and at most once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from service.database import Database
from service.jobs import retry
from service.jobs.accept import accept_unless_there
from service.jobs.ends import expired, forgotten
from service.jobs.job import Job
from service.jobs.store import moves
from service.jobs.store.claims import Owner, take_waiting
from service.tenants.models import PLATFORM_TOKEN_ID

Accepting = Callable[..., Awaitable[Job]]
OWNER = Owner(name="worker", lease=60)
REQUEST: dict[str, Any] = {
    "input": {"prompt": "make it night", "image_urls": ["https://pictures.example/a.png"] * 4, "seed": 7},
    "callback_url": "https://hooks.example/jobs?token=1",
    "callback_events": ["job.completed", "job.submitted"],
    "external_id": "order-17",
    "metadata": {"team": "ads"},
    "priority": "high",
    "expires_in": 60,
    "on_unconfirmed": "resubmit",
}
NOT_OF_THE_REQUEST = {"id", "created_at", "expires_at", "finished_at", "status", "cancel", "urls", "retry_of"}


async def ended(api: httpx.AsyncClient, request: dict[str, Any] = REQUEST) -> dict[str, Any]:
    """A job that was cancelled before it was sent."""
    job = (await api.post("/v1/jobs", json=request)).json()
    cancelled: dict[str, Any] = (await api.post(f"/v1/jobs/{job['id']}/cancel")).json()
    return cancelled


def span(job: dict[str, Any]) -> float:
    until, since = (datetime.fromisoformat(job[name]) for name in ("expires_at", "created_at"))
    return (until - since).total_seconds()


async def test_a_retry_is_a_new_job_with_the_same_request(api: httpx.AsyncClient, database: Database) -> None:
    old = await ended(api)

    response = await api.post(f"/v1/jobs/{old['id']}/retry")

    new = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == new["urls"]["self"] == f"https://jobs.example/v1/jobs/{new['id']}"
    assert (new["retry_of"], new["status"], new["cancel"]) == (old["id"], "accepted", None)
    assert new["id"] != old["id"]
    assert {name: value for name, value in new.items() if name not in NOT_OF_THE_REQUEST} == {
        name: value for name, value in old.items() if name not in NOT_OF_THE_REQUEST
    } | {"delivery": None}
    assert span(new) == span(old) == 60
    assert (await api.get(f"/v1/jobs/{old['id']}")).json()["retry_of"] is None
    unseen = text("SELECT DISTINCT callback_url, callback_events, on_unconfirmed FROM jobs")
    async with database.statement() as connection:
        [kept] = (await connection.execute(unseen)).all()
    assert tuple(kept) == tuple(
        REQUEST[name] for name in ("callback_url", "callback_events", "on_unconfirmed")
    )


async def test_a_job_is_retried_once(api: httpx.AsyncClient) -> None:
    old = await ended(api)
    first = await api.post(f"/v1/jobs/{old['id']}/retry")

    again = await api.post(f"/v1/jobs/{old['id']}/retry")

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]


async def test_retries_at_the_same_moment_make_one_job(api: httpx.AsyncClient) -> None:
    old = await ended(api)

    answers = await asyncio.gather(*(api.post(f"/v1/jobs/{old['id']}/retry") for _ in range(20)))

    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 19}
    assert len({answer.content for answer in answers}) == 1
    assert len((await api.get("/v1/jobs")).json()["data"]) == 2


async def test_a_retry_can_be_retried(api: httpx.AsyncClient) -> None:
    old = await ended(api)
    new = (await api.post(f"/v1/jobs/{old['id']}/retry")).json()
    await api.post(f"/v1/jobs/{new['id']}/cancel")

    newest = (await api.post(f"/v1/jobs/{new['id']}/retry")).json()

    assert newest["retry_of"] == new["id"]


async def test_a_job_that_lives_or_has_completed_is_not_retried(
    api: httpx.AsyncClient, accepted: Accepting, database: Database
) -> None:
    job: Job | None = await accepted()
    for step in (None, "in_queue", "in_progress", "completed"):
        if step:
            job = await advanced(database, job, step)
        assert job is not None
        response = await api.post(f"/v1/jobs/{job.id}/retry")
        assert (response.status_code, response.json()["code"]) == (409, "not_retryable")
        assert (step or "accepted") in response.json()["detail"]


@pytest.mark.parametrize("end", ["failed", "expired"])
async def test_a_job_that_failed_or_expired_is_retried(
    api: httpx.AsyncClient, accepted: Accepting, database: Database, end: str
) -> None:
    job = await advanced(database, await accepted(), "in_queue")
    assert job is not None
    async with database.transaction() as connection:
        if end == "failed":
            assert await moves.fail(connection, job, error=forgotten(), now=None)
        else:
            error = expired(job, cancelled=False)
            assert await moves.expire(connection, job, error=error, cancelled=False, now=None)

    response = await api.post(f"/v1/jobs/{job.id}/retry")

    assert response.status_code == 202
    assert (response.json()["error"], response.json()["upstream_request_id"]) == (None, None)


async def advanced(database: Database, job: Job | None, step: str) -> Job | None:
    """The job moved on as a worker would."""
    async with database.transaction() as c:
        if step == "in_queue":
            [job] = (
                await take_waiting(c, OWNER, token_id=PLATFORM_TOKEN_ID, places=9, room=9, now=None)
            ).jobs
            job = await moves.intend(c, job, OWNER)
            assert job is not None
            return await moves.take(c, job, OWNER, upstream_id="up-1")
        assert job is not None
        if step == "in_progress":
            return await moves.start(c, job)
        return await moves.complete(c, job, output={"images": ["https://a.b/c"]}, now=None)


async def test_a_job_that_is_removed_for_its_age_meanwhile_is_not_there(
    api: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = (await api.post("/v1/jobs", json=REQUEST)).json()["id"]
    await api.post(f"/v1/jobs/{job_id}/cancel")
    accept = accept_unless_there

    async def late(*given: Any, **named: Any) -> Any:
        async with database.transaction() as connection:
            for table in ("job_labels", "job_events", "jobs"):
                await connection.execute(text(f"DELETE FROM {table}"))
        return await accept(*given, **named)

    monkeypatch.setattr(retry, "accept_unless_there", late)
    answer = await api.post(f"/v1/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
