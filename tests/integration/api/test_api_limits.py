"""What a tenant is held to: 429 with the limit's name, and how the rate stands on every answer to its key."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from harness.estate import ended_like_these
from litestar import Litestar
from prometheus_client import REGISTRY
from sqlalchemy import text

from service.database import Database
from service.dev.embedded import Redis
from service.jobs.store import backlog
from service.tenants import keyring
from service.tenants.tenant import Tenant

BODY: dict[str, Any] = {
    "input": {"prompt": "make it night", "image_urls": ["https://pictures.example/a.png"]}
}
Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
NewKey = Callable[..., Awaitable[str]]


@pytest.fixture
def limited(database: Database, tenant: Tenant) -> Callable[..., Awaitable[None]]:
    """Changes limits of `tenant`, as an operator does."""

    async def change(**limits: int) -> None:
        sets = ", ".join(f"{name} = {value}" for name, value in limits.items())
        async with database.statement() as connection:
            await connection.execute(text(f"UPDATE tenants SET {sets} WHERE id = :id"), {"id": tenant.id})

    return change


def refused(limit: str) -> float:
    return REGISTRY.get_sample_value("edit_jobs_refusals_total", {"limit": limit}) or 0


async def until_refused(api: httpx.AsyncClient, path: str = "/v1/jobs/x") -> httpx.Response:
    """Asks until a second's requests are used up."""
    async with asyncio.timeout(10):
        while (answer := await api.get(path)).status_code != 429:
            pass
    return answer


async def test_every_answer_to_a_key_says_how_its_rate_stands(
    api: httpx.AsyncClient, limited: Callable[..., Awaitable[None]]
) -> None:
    await limited(requests_per_second=50)

    answers = [
        await api.post("/v1/jobs", json=BODY),
        await api.post("/v1/jobs", json={}),
        await api.get("/v1/jobs?nonsense=1"),
        await api.get("/v1/jobs/x"),
        await api.get("/v1/models"),
        await api.get("/v1/requests/x/status"),
    ]

    assert [answer.status_code for answer in answers] == [202, 422, 400, 404, 200, 400]
    for answer in answers:
        assert answer.headers["RateLimit-Limit"] == "50"
        assert 0 <= int(answer.headers["RateLimit-Remaining"]) < 50
        assert answer.headers["RateLimit-Reset"] == "1"
    without_key = await api.get("/health/live")
    assert "RateLimit-Limit" not in without_key.headers


async def test_who_asks_too_often_is_refused_until_the_second_is_over(
    api: httpx.AsyncClient, limited: Callable[..., Awaitable[None]]
) -> None:
    await limited(requests_per_second=2)
    before = refused("requests_per_second")

    answer = await until_refused(api)

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:problem-type:edit-jobs:rate_limited",
        "title": "Too many requests came in a second",
        "status": 429,
        "detail": "This tenant may make 2 requests in a second.",
        "code": "rate_limited",
        "retryable": True,
        "limit": "requests_per_second",
    }
    told = [answer.headers[name] for name in ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining")]
    assert told == ["1", "2", "0"]
    assert refused("requests_per_second") > before
    async with asyncio.timeout(5):
        while (await api.get("/v1/jobs")).status_code != 200:
            await asyncio.sleep(0.05)


async def test_runcomfys_paths_refuse_in_runcomfys_words(
    api: httpx.AsyncClient, limited: Callable[..., Awaitable[None]]
) -> None:
    await limited(requests_per_second=1)
    answer = await until_refused(api, "/v1/models")
    assert answer.json() == {
        "error_code": 429001,
        "error_message": "This tenant may make 1 requests in a second.",
    }
    assert answer.headers["Retry-After"] == "1"


async def test_a_changed_limit_holds_once_the_key_is_looked_up_again(
    api: httpx.AsyncClient,
    limited: Callable[..., Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert keyring.REMEMBERED_SECONDS <= 5
    monkeypatch.setattr(keyring, "REMEMBERED_SECONDS", 0.1)
    assert (await api.get("/v1/jobs")).headers["RateLimit-Limit"] == "1000"

    await limited(requests_per_second=123)

    async with asyncio.timeout(5):
        while (await api.get("/v1/jobs")).headers["RateLimit-Limit"] != "123":
            await asyncio.sleep(0.01)


async def test_without_redis_requests_are_let_through_and_readiness_says_so(
    api: httpx.AsyncClient, limited: Callable[..., Awaitable[None]], redis: Redis
) -> None:
    await limited(requests_per_second=1)
    redis.stop()

    answers = [await api.post("/v1/jobs", json=BODY) for _ in range(5)]

    assert Counter(answer.status_code for answer in answers) == {202: 5}
    ready = (await api.get("/health/ready")).json()
    assert ready["status"] == "degraded"
    assert "no rate limit holds" in ready["degraded"][0]


async def test_the_job_after_the_last_that_may_wait_is_refused(
    api: httpx.AsyncClient, database: Database, limited: Callable[..., Awaitable[None]]
) -> None:
    await limited(max_queued=5)
    before = refused("max_queued")

    answers = [await api.post("/v1/jobs", json=BODY) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert answers[5].json() == {
        "type": "urn:problem-type:edit-jobs:queue_full",
        "title": "Too many jobs wait already",
        "status": 429,
        "detail": "This tenant may have 5 jobs waiting here, and has.",
        "code": "queue_full",
        "retryable": True,
        "limit": "max_queued",
    }
    assert int(answers[5].headers["Retry-After"]) >= 1
    assert refused("max_queued") == before + 1

    # One less that waits, and there is room again.
    await api.post(f"/v1/jobs/{answers[0].json()['id']}/cancel")
    assert (await api.post("/v1/jobs", json=BODY)).status_code == 202


async def test_of_many_at_once_no_more_are_accepted_than_may_wait(
    api: httpx.AsyncClient, limited: Callable[..., Awaitable[None]]
) -> None:
    await limited(max_queued=7)
    answers = await asyncio.gather(*(api.post("/v1/jobs", json=BODY) for _ in range(40)))
    assert Counter(answer.status_code for answer in answers) == {202: 7, 429: 33}


async def test_a_full_queue_refuses_runcomfys_submit_and_a_retry_too(
    api: httpx.AsyncClient, limited: Callable[..., Awaitable[None]]
) -> None:
    ended = (await api.post("/v1/jobs", json=BODY)).json()["id"]
    await api.post(f"/v1/jobs/{ended}/cancel")
    await limited(max_queued=0)
    await forgotten(api)

    submit = await api.post("/v1/models/blackforestlabs/flux-2/dev/edit", json=BODY["input"])
    retry = await api.post(f"/v1/jobs/{ended}/retry")

    assert (submit.status_code, submit.json()["error_code"]) == (429, 429001)
    assert (retry.status_code, retry.json()["code"]) == (429, "queue_full")
    assert (await api.post("/v1/jobs", json={})).status_code == 422


async def test_what_was_accepted_before_is_answered_by_a_full_queue_too(
    api: httpx.AsyncClient, limited: Callable[..., Awaitable[None]]
) -> None:
    key = {"Idempotency-Key": "a"}
    first = await api.post("/v1/jobs", json=BODY, headers=key)
    ended = (await api.post("/v1/jobs", json=BODY)).json()["id"]
    await api.post(f"/v1/jobs/{ended}/cancel")
    retry = (await api.post(f"/v1/jobs/{ended}/retry")).json()
    await limited(max_queued=2)
    await forgotten(api)

    again = await api.post("/v1/jobs", json=BODY, headers=key)
    other = await api.post("/v1/jobs", json=BODY | {"priority": "high"}, headers=key)
    new = await api.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "b"})
    retried = await api.post(f"/v1/jobs/{ended}/retry")

    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (new.status_code, new.json()["code"]) == (429, "queue_full")
    assert (retried.status_code, retried.json()["id"]) == (200, retry["id"])
    # The refused request has used up no key.
    await api.post(f"/v1/jobs/{first.json()['id']}/cancel")
    assert (await api.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": "b"})).status_code == 202


async def test_two_processes_exceed_the_limit_by_no_more_than_they_say(
    serving: Serving,
    tenant: Tenant,
    new_key: NewKey,
    limited: Callable[..., Awaitable[None]],
    database: Database,
) -> None:
    await limited(max_queued=40)
    headers = {"Authorization": f"Bearer {await new_key(tenant)}"}
    async with serving() as one, serving() as two:
        await asyncio.gather(
            *(client.post("/v1/jobs", json=BODY, headers=headers) for _ in range(40) for client in (one, two))
        )
    async with database.statement() as connection:
        stored = (await connection.execute(text("SELECT count(*) FROM jobs"))).scalar_one()
    assert 40 <= stored <= 44


async def forgotten(api: httpx.AsyncClient) -> None:
    """Wait until the key's limits are looked up again: by the application of `api`, in at most 5 s."""
    app: Any = api._transport.app  # type: ignore[attr-defined]
    app.state.parts.keyring._known.clear()


async def test_waiting_jobs_are_counted_along_their_own_index(
    app: Litestar, api: httpx.AsyncClient, database: Database, tenant: Tenant
) -> None:
    for _ in range(3):
        await api.post("/v1/jobs", json=BODY)
    await ended_like_these(database, 5_000)
    for mode in ("force_generic_plan", "force_custom_plan"):
        async with app.state.parts.database.of_tenant(tenant.id) as connection:
            await connection.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
            explained = text(f"EXPLAIN {backlog._WAITING.text}")
            rows = await connection.execute(explained, {"tenant": tenant.id, "most": 100_000})
            plan = "\n".join(rows.scalars())
            assert "ix_jobs_list_by_status" in plan, plan
            assert await backlog.waiting(connection, tenant, most=2) == 2
            assert await backlog.waiting(connection, tenant, most=100_000) == 3
