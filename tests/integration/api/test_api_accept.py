"""POST /v1/jobs: what is accepted, what is refused and why, and that nothing refused is stored."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from sqlalchemy import text

from service.database import Database
from service.tenants.tenant import Tenant

URL = "https://pictures.example/lake.png"
INPUT: dict[str, Any] = {"prompt": "make it night", "image_urls": [URL]}
JSON = {"Content-Type": "application/json"}

Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def jobs_stored(database: Database) -> Callable[[], Awaitable[int]]:
    """How many jobs and timeline entries there are."""

    async def count() -> int:
        both = text("SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM job_events)")
        async with database.statement() as connection:
            return int((await connection.execute(both)).scalar_one())

    return count


async def test_the_smallest_request_is_answered_202_with_the_whole_job(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/jobs", json={"input": INPUT})

    job = response.json()
    url = f"https://jobs.example/v1/jobs/{job['id']}"
    assert response.status_code == 202
    assert response.headers["Location"] == url
    assert response.headers["Content-Type"] == "application/json"
    assert {name: value for name, value in job.items() if name not in ("id", "created_at", "expires_at")} == {
        "model": "blackforestlabs/flux-2/dev/edit",
        "status": "accepted",
        "input": INPUT
        | {
            "guidance_scale": 2.5,
            "seed": 0,
            "num_inference_steps": 28,
            "image_size": "square_hd",
            "num_images": 1,
            "enable_prompt_expansion": False,
            "output_format": "png",
        },
        "output": None,
        "error": None,
        "warnings": [],
        "external_id": None,
        "metadata": {},
        "priority": "normal",
        "retry_of": None,
        "queue_position": None,
        "waiting_for": None,
        "cancel": None,
        "upstream_request_id": None,
        "cost_usd": None,
        "submitted_at": None,
        "started_at": None,
        "finished_at": None,
        "mode": "live",
        "delivery": None,
        "urls": {"self": url, "cancel": f"{url}/cancel", "events": f"{url}/events"},
    }


async def test_what_is_answered_is_what_is_read_later(api: httpx.AsyncClient) -> None:
    request = {
        "model": "blackforestlabs/flux-2/dev/edit",
        "input": INPUT | {"image_urls": [URL] * 4, "image_size": {"width": 512, "height": 640}, "seed": -7},
        "callback_url": "https://hooks.example/jobs?token=1",
        "callback_events": ["job.completed", "job.submitted"],
        "external_id": "order-17",
        "metadata": {"team": "ads", "ünï": "✓"},
        "priority": "high",
        "expires_in": 60,
        "on_unconfirmed": "resubmit",
    }

    accepted = (await api.post("/v1/jobs", json=request)).json()

    assert (await api.get(f"/v1/jobs/{accepted['id']}")).json() == accepted | {"queue_position": 0}
    assert accepted["external_id"] == "order-17"
    assert accepted["metadata"] == {"team": "ads", "ünï": "✓"}
    assert accepted["priority"] == "high"
    assert accepted["input"]["image_urls"] == [URL] * 3
    assert [warning["pointer"] for warning in accepted["warnings"]] == ["/input/image_urls"]


async def test_a_job_without_a_word_on_it_lives_for_the_default_time(
    serving: Serving, new_key: Callable[[Tenant], Awaitable[str]], tenant: Tenant
) -> None:
    async with serving(default_expires_in=600) as api:
        key = {"Authorization": f"Bearer {await new_key(tenant)}"}
        job = (await api.post("/v1/jobs", json={"input": INPUT}, headers=key)).json()

    assert job["created_at"][:17] < job["expires_at"][:17]
    assert job["created_at"][18:] == job["expires_at"][18:]


REFUSED: dict[str, tuple[Any, str]] = {
    "no object": ([], ""),
    "null": (None, ""),
    "no input": ({}, "/input"),
    "input of the wrong type": ({"input": "edit"}, "/input"),
    "no prompt": ({"input": {"image_urls": [URL]}}, "/input/prompt"),
    "blank prompt": ({"input": INPUT | {"prompt": "  "}}, "/input/prompt"),
    "prompt of the wrong type": ({"input": INPUT | {"prompt": 1}}, "/input/prompt"),
    "NUL in the prompt": ({"input": INPUT | {"prompt": "a\0b"}}, "/input/prompt"),
    "no image_urls": ({"input": {"prompt": "x"}}, "/input/image_urls"),
    "empty image_urls": ({"input": INPUT | {"image_urls": []}}, "/input/image_urls"),
    "image_urls of the wrong type": ({"input": INPUT | {"image_urls": URL}}, "/input/image_urls"),
    "an image URL of the wrong type": ({"input": INPUT | {"image_urls": [1]}}, "/input/image_urls/0"),
    "http image URL": ({"input": INPUT | {"image_urls": ["http://a.example/"]}}, "/input/image_urls/0"),
    "image URL with a user": ({"input": INPUT | {"image_urls": ["https://a@b.c/"]}}, "/input/image_urls/0"),
    "long image URL": ({"input": INPUT | {"image_urls": [URL + "a" * 2048]}}, "/input/image_urls/0"),
    "guidance_scale of the wrong type": ({"input": INPUT | {"guidance_scale": "2"}}, "/input/guidance_scale"),
    "guidance_scale out of range": ({"input": INPUT | {"guidance_scale": 20.1}}, "/input/guidance_scale"),
    "seed of the wrong type": ({"input": INPUT | {"seed": True}}, "/input/seed"),
    "seed beyond 64 bits": ({"input": INPUT | {"seed": 2**63}}, "/input/seed"),
    "steps of the wrong type": (
        {"input": INPUT | {"num_inference_steps": 4.0}},
        "/input/num_inference_steps",
    ),
    "steps out of range": ({"input": INPUT | {"num_inference_steps": 3}}, "/input/num_inference_steps"),
    "image_size of the wrong type": ({"input": INPUT | {"image_size": 512}}, "/input/image_size"),
    "unknown image_size": ({"input": INPUT | {"image_size": "huge"}}, "/input/image_size"),
    "image_size out of range": (
        {"input": INPUT | {"image_size": {"width": 511, "height": 512}}},
        "/input/image_size/width",
    ),
    "num_images of the wrong type": ({"input": INPUT | {"num_images": "1"}}, "/input/num_images"),
    "num_images out of range": ({"input": INPUT | {"num_images": 5}}, "/input/num_images"),
    "expansion of the wrong type": (
        {"input": INPUT | {"enable_prompt_expansion": 1}},
        "/input/enable_prompt_expansion",
    ),
    "output_format of the wrong type": ({"input": INPUT | {"output_format": 1}}, "/input/output_format"),
    "unknown output_format": ({"input": INPUT | {"output_format": "gif"}}, "/input/output_format"),
    "unknown field of the input": ({"input": INPUT | {"loras": []}}, "/input/loras"),
    "unknown field": ({"input": INPUT, "inputs": 1}, "/inputs"),
    "unknown model": ({"model": "acme/paint", "input": INPUT}, "/model"),
    "model of the wrong type": ({"model": 1, "input": INPUT}, "/model"),
    "callback_url of the wrong type": ({"input": INPUT, "callback_url": 1}, "/callback_url"),
    "callback_url that is none": ({"input": INPUT, "callback_url": "hooks"}, "/callback_url"),
    "http callback_url": ({"input": INPUT, "callback_url": "http://a.example/"}, "/callback_url"),
    "private callback_url": ({"input": INPUT, "callback_url": "https://10.0.0.1/"}, "/callback_url"),
    "callback_url to localhost": ({"input": INPUT, "callback_url": "https://localhost/"}, "/callback_url"),
    "callback_url to 2130706433": ({"input": INPUT, "callback_url": "https://2130706433/"}, "/callback_url"),
    "no callback_events": ({"input": INPUT, "callback_events": []}, "/callback_events"),
    "callback_events twice": ({"input": INPUT, "callback_events": ["job.failed"] * 2}, "/callback_events"),
    "unknown callback event": ({"input": INPUT, "callback_events": ["job.done"]}, "/callback_events/0"),
    "empty external_id": ({"input": INPUT, "external_id": ""}, "/external_id"),
    "long external_id": ({"input": INPUT, "external_id": "a" * 256}, "/external_id"),
    "metadata of the wrong type": ({"input": INPUT, "metadata": [1]}, "/metadata"),
    "metadata with a number": ({"input": INPUT, "metadata": {"a": 1}}, "/metadata/a"),
    "metadata with 17 pairs": ({"input": INPUT, "metadata": {str(n): "" for n in range(17)}}, "/metadata"),
    "long metadata value": ({"input": INPUT, "metadata": {"a": "b" * 513}}, "/metadata/a"),
    "long metadata key": ({"input": INPUT, "metadata": {"a" * 65: ""}}, "/metadata/" + "a" * 65),
    "unknown priority": ({"input": INPUT, "priority": "urgent"}, "/priority"),
    "expires_in of the wrong type": ({"input": INPUT, "expires_in": "60"}, "/expires_in"),
    "short expires_in": ({"input": INPUT, "expires_in": 9}, "/expires_in"),
    "long expires_in": ({"input": INPUT, "expires_in": 604_801}, "/expires_in"),
    "unknown on_unconfirmed": ({"input": INPUT, "on_unconfirmed": "retry"}, "/on_unconfirmed"),
}


async def test_a_bad_field_is_refused_by_its_pointer_and_nothing_is_stored(
    api: httpx.AsyncClient, jobs_stored: Callable[[], Awaitable[int]]
) -> None:
    for case, (body, pointer) in REFUSED.items():
        response = await api.post("/v1/jobs", content=msgspec.json.encode(body), headers=JSON)

        problem = response.json()
        assert response.status_code == 422, case
        assert response.headers["Content-Type"] == "application/problem+json", case
        assert (problem["code"], problem["status"], problem["retryable"]) == ("invalid_input", 422, False)
        assert [fault["pointer"] for fault in problem["errors"]] == [pointer], case
    assert await jobs_stored() == 0


async def test_all_faults_come_in_one_answer(api: httpx.AsyncClient) -> None:
    body = {"input": {"num_images": 0}, "callback_url": "https://10.1.2.3/", "expires_in": 1, "extra": 1}

    problem = (await api.post("/v1/jobs", json=body)).json()

    assert [(fault["pointer"], fault["message"]) for fault in problem["errors"]] == [
        ("/callback_url", "cannot be called: the address is private"),
        ("/expires_in", "must be at least 10, not 1"),
        ("/extra", "is not a known field"),
        ("/input/image_urls", "is required"),
        ("/input/num_images", "must be at least 1, not 0"),
        ("/input/prompt", "is required"),
    ]
    assert problem["detail"] == "/callback_url cannot be called: the address is private; 6 faults in all."


async def test_a_private_callback_url_is_accepted_where_its_network_is_allowed(
    serving: Serving, new_key: Callable[[Tenant], Awaitable[str]], tenant: Tenant
) -> None:
    async with serving(webhook_allowed_networks="10.0.0.0/8") as api:
        key = {"Authorization": f"Bearer {await new_key(tenant)}"}
        body = {"input": INPUT, "callback_url": "http://10.0.0.1:9000/hook"}
        assert (await api.post("/v1/jobs", json=body, headers=key)).status_code == 202
        refused = await api.post("/v1/jobs", json=body | {"callback_url": "http://192.168.0.1/"}, headers=key)

    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/callback_url"]


UNREADABLE = {
    "empty": (b"", 400, "bad_request"),
    "cut off": (b"{", 400, "bad_request"),
    "two": (b"{} {}", 400, "bad_request"),
    "no text": (b"\xff", 400, "bad_request"),
    "no UTF-8": (b'{"input": "\xff"}', 400, "bad_request"),
    "no number": (b"NaN", 400, "bad_request"),
    "a huge exponent": (b"1e999", 422, "invalid_input"),
    "5,000 digits": (b"1" * 5000, 422, "invalid_input"),
    "deep": (b"[" * 100_000, 422, "invalid_input"),
    "large": (b" " * (256 * 1024) + b"1", 413, "body_too_large"),
}


async def test_what_cannot_be_read_is_refused(
    api: httpx.AsyncClient, jobs_stored: Callable[[], Awaitable[int]]
) -> None:
    for case, (body, status, code) in UNREADABLE.items():
        response = await api.post("/v1/jobs", content=body, headers=JSON)

        assert (response.status_code, response.json()["code"]) == (status, code), case
        assert response.headers["Content-Type"] == "application/problem+json", case
    assert await jobs_stored() == 0


async def test_a_large_body_is_refused_also_when_its_length_is_not_announced(api: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 64 * 1024

    response = await api.post("/v1/jobs", content=chunks(), headers=JSON)

    assert "Content-Length" not in response.request.headers
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


async def test_a_body_that_does_not_say_it_is_json_is_refused(api: httpx.AsyncClient) -> None:
    for headers in (
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ):
        response = await api.post("/v1/jobs", content=b"{}", headers=headers)

        assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


async def test_the_content_type_may_have_a_charset(api: httpx.AsyncClient) -> None:
    response = await api.post(
        "/v1/jobs", content=b"{}", headers={"Content-Type": "Application/JSON; charset=utf-8"}
    )
    assert response.json()["errors"] == [{"pointer": "/input", "message": "is required"}]


async def test_parameters_are_refused(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/jobs?priority=high", json={"input": INPUT})

    assert (response.status_code, response.json()["code"]) == (400, "bad_request")
    assert "'priority'" in response.json()["detail"]


async def test_a_key_of_another_mode_makes_jobs_of_that_mode(
    api: httpx.AsyncClient, tenant: Tenant, new_key: Callable[[Tenant], Awaitable[str]]
) -> None:
    test_key = await new_key(Tenant(id=tenant.id, mode="test"))
    job = await api.post("/v1/jobs", json={"input": INPUT}, headers={"Authorization": f"Bearer {test_key}"})

    assert job.json()["mode"] == "test"
    assert (await api.get(f"/v1/jobs/{job.json()['id']}")).status_code == 404


async def test_without_redis_jobs_are_still_accepted(
    serving: Serving, new_key: Callable[[Tenant], Awaitable[str]], tenant: Tenant
) -> None:
    async with serving(redis_url="redis://127.0.0.1:1") as api:
        key = {"Authorization": f"Bearer {await new_key(tenant)}"}
        response = await api.post("/v1/jobs", json={"input": INPUT}, headers=key)

    assert response.status_code == 202


async def test_without_postgres_the_caller_may_ask_again(serving: Serving, api: httpx.AsyncClient) -> None:
    key = {"Authorization": api.headers["Authorization"]}
    async with serving(api_database_url="postgresql://nobody@127.0.0.1:1/none") as elsewhere:
        response = await elsewhere.post("/v1/jobs", json={"input": INPUT}, headers=key)

    problem = response.json()
    assert (response.status_code, problem["code"], problem["retryable"]) == (503, "unavailable", True)
    assert response.headers["Retry-After"] == "1"


async def test_a_job_whose_commit_nobody_knows_of_is_not_called_retryable(
    api: httpx.AsyncClient, database_url: str
) -> None:
    await api.get("/v1/jobs")  # the key is remembered, so the next statement is the job's
    url = database_url.replace("+asyncpg", "")
    # Two connections: what one transaction sees of the others' activity does not change until its end.
    locking, killing = await asyncpg.connect(url), await asyncpg.connect(url)
    async with locking.transaction():
        await locking.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
        asking = asyncio.create_task(api.post("/v1/jobs", json={"input": INPUT}))
        while not await killing.fetch(KILL_WHO_WAITS):
            assert not asking.done()
        response = await asking
    await locking.close()
    await killing.close()

    problem = response.json()
    assert (response.status_code, problem["code"], problem["retryable"]) == (503, "acceptance_unknown", False)
    assert response.headers["Retry-After"] == "1"


KILL_WHO_WAITS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO jobs%'
"""
