"""POST /v1/jobs/batch: many requests in one, each with an answer of its own."""

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import httpx
import jsonschema_rs
import pytest
from sqlalchemy import text

from service.database import Database
from service.tenants.tenant import Tenant

JOB: dict[str, Any] = {"input": {"prompt": "make it night", "image_urls": ["https://pictures.example/a.png"]}}


async def asked(api: httpx.AsyncClient, *jobs: object) -> list[dict[str, Any]]:
    answer = await api.post("/v1/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 207, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    assert len(results) == len(jobs)
    return results


def statuses(results: list[dict[str, Any]]) -> list[int]:
    return [result["status"] for result in results]


async def stored(database: Database, table: str = "jobs") -> int:
    async with database.statement() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def test_each_item_becomes_the_job_that_a_request_of_its_own_would_have_made(
    api: httpx.AsyncClient,
) -> None:
    full = JOB | {
        "callback_url": "https://hooks.example/a",
        "callback_events": ["job.failed", "job.completed"],
        "external_id": "order-17",
        "metadata": {"team": "ads", "campaign": "1"},
        "priority": "high",
        "expires_in": 60,
        "on_unconfirmed": "resubmit",
    }

    results = await asked(api, full, JOB)

    assert statuses(results) == [202, 202]
    for result, body in zip(results, (full, JOB), strict=True):
        assert list(result) == ["status", "job"]
        single = (await api.post("/v1/jobs", json=body)).json()
        own = ("id", "urls", "created_at", "expires_at", "queue_position")
        assert {name: result["job"][name] for name in single if name not in own} == {
            name: single[name] for name in single if name not in own
        }
        shown = (await api.get(f"/v1/jobs/{result['job']['id']}")).json()
        assert shown | {"queue_position": None} == result["job"]
        timeline = (await api.get(f"/v1/jobs/{result['job']['id']}/events")).json()["data"]
        assert [entry["type"] for entry in timeline] == ["job.accepted"]
    found = (await api.get("/v1/jobs?metadata.team=ads&limit=9")).json()["data"]
    assert results[0]["job"]["id"] in [job["id"] for job in found]
    assert results[0]["job"]["id"] < results[1]["job"]["id"]


async def test_one_bad_item_spoils_no_other(api: httpx.AsyncClient, database: Database) -> None:
    bad_input = {"input": {"prompt": "x", "image_urls": [], "num_images": 9}, "colour": 1}

    results = await asked(
        api, JOB, bad_input, None, JOB | {"metadata": {"a": "\0"}}, JOB | {"idempotency_key": "a b"}, JOB
    )

    assert statuses(results) == [202, 422, 422, 422, 422, 202]
    assert await stored(database) == 2
    for result in results[1:5]:
        assert list(result) == ["status", "problem"]
        assert (result["problem"]["status"], result["problem"]["code"]) == (422, "invalid_input")
    pointers = [[fault["pointer"] for fault in result["problem"]["errors"]] for result in results[1:5]]
    assert pointers == [
        ["/colour", "/input/image_urls", "/input/num_images"],
        [""],
        ["/metadata/a"],
        ["/idempotency_key"],
    ]


async def test_a_key_makes_one_job_whichever_way_it_comes(api: httpx.AsyncClient, database: Database) -> None:
    keyed = JOB | {"idempotency_key": "a"}
    [first] = await asked(api, keyed)

    [again, other, new] = await asked(
        api, keyed, keyed | {"priority": "high"}, JOB | {"idempotency_key": "b"}
    )
    single = await api.post("/v1/jobs", json=JOB, headers={"Idempotency-Key": "a"})

    assert statuses([first, again, other, new]) == [202, 200, 422, 202]
    assert again["job"] == first["job"] | {"queue_position": again["job"]["queue_position"]}
    assert other["problem"]["code"] == "idempotency_key_reused"
    assert (single.status_code, single.json()["id"]) == (200, first["job"]["id"])
    assert await stored(database) == 2


async def test_the_same_key_twice_in_a_batch_is_two_requests(
    api: httpx.AsyncClient, database: Database
) -> None:
    keyed = JOB | {"idempotency_key": "a"}

    results = await asked(
        api, {"idempotency_key": "a"}, keyed, JOB, keyed, keyed | {"priority": "low"}, keyed
    )

    assert statuses(results) == [422, 202, 202, 200, 422, 200]
    assert {results[number]["job"]["id"] for number in (1, 3, 5)} == {results[1]["job"]["id"]}
    assert results[4]["problem"]["code"] == "idempotency_key_reused"
    assert await stored(database) == 2


async def test_batches_with_the_same_keys_at_once_make_each_job_once(
    api: httpx.AsyncClient, database: Database
) -> None:
    there = [JOB | {"idempotency_key": f"key-{number}"} for number in range(20)]
    answers = await asyncio.gather(
        *(asked(api, *(there if number % 2 else reversed(there))) for number in range(10))
    )
    outcomes = Counter(result["status"] for results in answers for result in results)
    assert outcomes == {202: 20, 200: 180}
    assert await stored(database) == 20


async def test_a_deleted_job_s_key_makes_no_second_one(api: httpx.AsyncClient) -> None:
    keyed = JOB | {"idempotency_key": "a"}
    [first] = await asked(api, keyed)
    await api.post(f"/v1/jobs/{first['job']['id']}/cancel")
    await api.delete(f"/v1/jobs/{first['job']['id']}")

    [again, new] = await asked(api, keyed, JOB)

    assert (again["status"], again["problem"]["code"], new["status"]) == (404, "not_found", 202)


async def test_what_finds_no_room_is_refused_and_the_rest_is_not(
    api: httpx.AsyncClient, database: Database, tenant: Tenant
) -> None:
    async with database.statement() as connection:
        await connection.execute(text("UPDATE tenants SET max_queued = 3"))
    keyed = JOB | {"idempotency_key": "a"}
    [before] = await asked(api, keyed)

    results = await asked(api, JOB, keyed, JOB, JOB | {"idempotency_key": "b"}, {})

    assert statuses(results) == [202, 200, 202, 429, 422]
    assert results[1]["job"]["id"] == before["job"]["id"]
    problem = results[3]["problem"]
    assert (problem["code"], problem["limit"], problem["retryable"]) == ("queue_full", "max_queued", True)
    assert await stored(database) == 3
    assert statuses(await asked(api, JOB, keyed)) == [429, 200]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/jobs"),
        ([], ""),
        ({"jobs": []}, "/jobs"),
        ({"jobs": {}}, "/jobs"),
        ({"jobs": [JOB] * 101}, "/jobs"),
        ({"jobs": [JOB], "priority": "high"}, "/priority"),
    ],
)
async def test_what_is_no_batch_is_refused_as_a_whole(
    api: httpx.AsyncClient, database: Database, body: object, pointer: str
) -> None:
    answer = await api.post("/v1/jobs/batch", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert await stored(database) == 0


async def test_a_batch_without_jobs_hears_that_they_are_required(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/jobs/batch", json={})
    assert answer.json()["errors"] == [{"pointer": "/jobs", "message": "is required"}]


async def test_a_batch_takes_no_key_for_all_of_it(api: httpx.AsyncClient, database: Database) -> None:
    answer = await api.post("/v1/jobs/batch", json={"jobs": [JOB]}, headers={"Idempotency-Key": "a"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert await stored(database) == 0


async def test_a_hundred_jobs_fit_in_and_a_large_body_does_not(
    api: httpx.AsyncClient, database: Database
) -> None:
    assert set(statuses(await asked(api, *[JOB] * 100))) == {202}
    assert await stored(database) == 100
    large = JOB | {"input": JOB["input"] | {"prompt": "x" * 3000}}
    answer = await api.post("/v1/jobs/batch", json={"jobs": [large] * 90})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_when_postgres_is_lost_with_the_statement_each_item_says_what_may_be_done(
    api: httpx.AsyncClient, database_url: str
) -> None:
    url = database_url.replace("+asyncpg", "")
    locking, killing = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with locking.transaction():
            await locking.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
            asking = asyncio.create_task(asked(api, JOB, JOB | {"idempotency_key": "a"}, {}))
            while not await killing.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            ):
                assert not asking.done()
                await asyncio.sleep(0.01)
            results = await asking
    finally:
        await locking.close()
        await killing.close()

    assert statuses(results) == [503, 503, 422]
    told = [(result["problem"]["code"], result["problem"]["retryable"]) for result in results[:2]]
    assert told == [("acceptance_unknown", False), ("unavailable", True)]


async def test_its_answers_are_as_described(api: httpx.AsyncClient) -> None:
    document = (await api.get("/schema/openapi.json")).json()
    body = {"jobs": [JOB | {"idempotency_key": "a"}, JOB]}
    answer = (await api.post("/v1/jobs/batch", json={"jobs": [*body["jobs"], {}]})).json()
    for name, value in (("Batch", body), ("BatchResults", answer)):
        jsonschema_rs.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        ).validate(value)
