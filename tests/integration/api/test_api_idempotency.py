"""POST /v1/jobs with an Idempotency-Key: one key makes one job, however often and however fast it comes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from sqlalchemy import text

from service.database import Database
from service.tenants.tenant import Tenant

BODY: dict[str, Any] = {
    "input": {"prompt": "make it night", "image_urls": ["https://pictures.example/a.png"]}
}
Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
NewKey = Callable[..., Awaitable[str]]


async def asked(api: httpx.AsyncClient, key: str, body: object = BODY, **headers: str) -> httpx.Response:
    content = msgspec.json.encode(body)
    given = {"Content-Type": "application/json", "Idempotency-Key": key, **headers}
    return await api.post("/v1/jobs", content=content, headers=given)


async def stored(database: Database, table: str = "jobs") -> int:
    async with database.statement() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def test_the_same_request_again_is_answered_with_the_same_job(
    api: httpx.AsyncClient, database: Database
) -> None:
    first = await asked(api, "order-17")
    again = await asked(api, "order-17")

    assert (first.status_code, again.status_code) == (202, 200)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.content == first.content
    assert await stored(database) == 1


async def test_a_hundred_equal_requests_at_once_make_one_job(
    api: httpx.AsyncClient, database: Database
) -> None:
    body = BODY | {"metadata": {"team": "ads"}}

    answers = await asyncio.gather(*(asked(api, "rush", body) for _ in range(100)))

    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 99}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 99
    counts = [await stored(database, table) for table in ("jobs", "job_events", "job_labels")]
    assert counts == [1, 1, 1]


async def test_a_replay_shows_the_job_as_it_is_by_then(api: httpx.AsyncClient) -> None:
    body = BODY | {"callback_url": "https://hooks.example/a"}
    job = (await asked(api, "a", body)).json()
    ended = (await api.post(f"/v1/jobs/{job['id']}/cancel")).json()

    again = (await asked(api, "a", body)).json()

    assert (again["status"], again["finished_at"]) == ("cancelled", ended["finished_at"])
    assert again["delivery"]["status"] == "pending"


async def test_another_request_with_the_same_key_is_refused(
    api: httpx.AsyncClient, database: Database
) -> None:
    job = (await asked(api, "a")).json()

    refused = await asked(api, "a", BODY | {"priority": "high"})

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "idempotency_key_reused")
    assert job["id"] in problem["detail"]
    assert "Location" not in refused.headers
    assert await stored(database) == 1


async def test_the_order_of_keys_does_not_make_another_request(api: httpx.AsyncClient) -> None:
    body = {"input": BODY["input"], "metadata": {"a": "1", "b": "2"}}
    turned = {"metadata": {"b": "2", "a": "1"}, "input": dict(reversed(BODY["input"].items()))}

    assert (await asked(api, "a", body)).status_code == 202
    assert (await asked(api, "a", turned)).status_code == 200


async def test_bodies_are_compared_as_they_were_sent(api: httpx.AsyncClient) -> None:
    await asked(api, "a")
    with_default = BODY | {"priority": "normal"}
    assert (await asked(api, "a", with_default)).status_code == 422


async def test_a_refused_request_uses_up_no_key(api: httpx.AsyncClient, database: Database) -> None:
    assert (await asked(api, "a", {"input": {}})).status_code == 422
    assert await stored(database, "idempotency_keys") == 0

    assert (await asked(api, "a")).status_code == 202


async def test_keys_of_others_are_other_keys(
    api: httpx.AsyncClient,
    tenant: Tenant,
    another_tenant: Callable[[str], Awaitable[Tenant]],
    new_key: NewKey,
) -> None:
    first = (await asked(api, "a")).json()["id"]

    for other in (await another_tenant("other"), Tenant(id=tenant.id, mode="test")):
        answer = await asked(api, "a", Authorization=f"Bearer {await new_key(other)}")
        assert answer.status_code == 202
        assert answer.json()["id"] != first
    assert (await asked(api, "a")).json()["id"] == first


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "a" * 256, "a\tb"])
async def test_what_is_no_key_is_refused_by_the_name_of_the_header(
    api: httpx.AsyncClient, database: Database, key: str
) -> None:
    given = [(b"Content-Type", b"application/json"), (b"Idempotency-Key", key.encode())]
    response = await api.post("/v1/jobs", content=msgspec.json.encode(BODY), headers=given)

    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    assert "Idempotency-Key must be 1 to 255 visible ASCII characters" in response.json()["detail"]
    assert await stored(database) == 0


async def test_a_key_of_every_allowed_character_is_one(api: httpx.AsyncClient) -> None:
    key = ("".join(map(chr, range(0x21, 0x7F))) * 3)[:255]
    assert [(await asked(api, key)).status_code for _ in range(2)] == [202, 200]


@pytest.mark.parametrize(("hours", "status"), [(23.9, 422), (24.1, 202)])
async def test_a_key_can_be_used_for_something_else_after_a_day(
    api: httpx.AsyncClient, database: Database, hours: float, status: int
) -> None:
    await asked(api, "a")
    async with database.statement() as connection:
        age = text("UPDATE idempotency_keys SET created_at = created_at - :hours * interval '1 hour'")
        await connection.execute(age, {"hours": hours})
    other = BODY | {"priority": "high"}

    assert (await asked(api, "a", other)).status_code == status

    kept = other if status == 202 else BODY
    assert (await asked(api, "a", kept)).status_code == 200
    assert await stored(database, "idempotency_keys") == 1


async def test_a_job_whose_commit_nobody_knows_of_may_be_asked_for_again_with_its_key(
    api: httpx.AsyncClient, database_url: str
) -> None:
    await api.get("/v1/jobs")  # the key is remembered, so the next statement is the job's
    url = database_url.replace("+asyncpg", "")
    locking, killing = await asyncpg.connect(url), await asyncpg.connect(url)
    async with locking.transaction():
        await locking.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
        asking = asyncio.create_task(asked(api, "a"))
        while not await killing.fetch(KILL_WHO_WAITS):
            assert not asking.done()
        response = await asking
    await locking.close()
    await killing.close()

    problem = response.json()
    assert (response.status_code, problem["code"], problem["retryable"]) == (503, "unavailable", True)
    assert (await asked(api, "a")).status_code == 202


KILL_WHO_WAITS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO jobs%'
"""
