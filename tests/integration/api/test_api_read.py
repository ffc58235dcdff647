"""Reading jobs: one, a list, a timeline; and that nobody reads what is another's."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from service.database import Database
from service.ids import uuid7
from service.jobs.job import Job
from service.jobs.store import moves
from service.tenants.tenant import Tenant

Accepting = Callable[..., Awaitable[Job]]
NewKey = Callable[..., Awaitable[str]]


NAMES = "status, model, external_id, created_after, created_before, limit, cursor, metadata.KEY"
BAD_QUERIES = {
    "state=accepted": f"Not a parameter of this call: 'state'; there are: {NAMES}.",
    "metadata=a": f"Not a parameter of this call: 'metadata'; there are: {NAMES}.",
    "metadata.=a": "Not a parameter of this call: 'metadata.'",
    "metadata.a=1&metadata.a=1": "metadata.a can be given once.",
    "metadata.a=%00": "metadata.a must not contain the character U+0000.",
    "metadata.%00=a": "A name must not contain the character U+0000.",
    "&".join(f"metadata.k{n}=v" for n in range(17)): "metadata can be asked for by at most 16 keys, not 17.",
    "model=a&model=b": "model can be given once.",
    "model=%00": "model must not contain the character U+0000.",
    "external_id=a%00": "external_id must not contain the character U+0000.",
    "created_after=yesterday": "created_after must be a time like 2026-01-31T18:00:00Z, not 'yesterday'.",
    "created_after=2026-01-01": "created_after must be a time like",
    "created_after=2026-01-01T00:00:00": "created_after must be a time like",
    "created_after=2026-02-30T00:00:00Z": "created_after must be a time like",
    "created_before=20260101T000000Z": "created_before must be a time like",
    "created_before=2026-01-01T00:00:00+01:00": "(a + is written %2B in a query).",
    "created_before=0001-01-01T00:00:00%2B14:00": "created_before must be a time like",
    "created_before=%D9%A2026-01-01T00:00:00Z": "created_before must be a time like",
    "created_before=": "created_before must be a time like",
    "status=done": "status must be one of accepted, submitting, in_queue, in_progress, completed, failed,",
    "status=": "status must be one of",
    "limit=0": "limit must be an integer from 1 to 200, not '0'.",
    "limit=201": "limit must be an integer from 1 to 200, not '201'.",
    "limit=ten": "limit must be an integer from 1 to 200, not 'ten'.",
    "limit=%C2%B2": "limit must be an integer from 1 to 200, not '\\xb2'.",
    "limit=1&limit=2": "limit can be given once.",
    "cursor=abc": "cursor is not one that this service gave out.",
    "cursor=": "cursor is not one that this service gave out.",
    "cursor=%00": "cursor is not one that this service gave out.",
    "%ff=1": "The query cannot be read.",
    "&".join(f"a{n}=1" for n in range(101)): "The query cannot be read.",
}


async def listed(api: httpx.AsyncClient, query: str = "") -> tuple[list[str], str | None]:
    response = await api.get(f"/v1/jobs{query}")
    assert response.status_code == 200, response.text
    return [job["id"] for job in response.json()["data"]], response.json()["next_cursor"]


async def test_jobs_are_listed_newest_first_page_by_page(api: httpx.AsyncClient, accepted: Accepting) -> None:
    ids = [str((await accepted()).id) for _ in range(5)]
    ids.reverse()

    first, cursor = await listed(api, "?limit=2")
    second, cursor2 = await listed(api, f"?limit=2&cursor={cursor}")
    third, cursor3 = await listed(api, f"?limit=2&cursor={cursor2}")

    assert [first, second, third] == [ids[:2], ids[2:4], ids[4:]]
    assert cursor3 is None


async def test_a_full_last_page_has_no_cursor(api: httpx.AsyncClient, accepted: Accepting) -> None:
    ids = [str((await accepted()).id) for _ in range(2)]
    assert await listed(api, "?limit=2") == (ids[::-1], None)


async def test_jobs_are_listed_by_status(
    api: httpx.AsyncClient, accepted: Accepting, database: Database
) -> None:
    waiting, ended = await accepted(), await accepted()
    async with database.transaction() as connection:
        await moves.cancel(connection, ended, asked=True, now=None)

    assert await listed(api, "?status=accepted") == ([str(waiting.id)], None)
    assert await listed(api, "?status=cancelled&status=failed") == ([str(ended.id)], None)
    assert await listed(api, "?status=accepted,cancelled") == ([str(ended.id), str(waiting.id)], None)
    assert await listed(api, "?status=completed") == ([], None)


async def test_a_bad_query_is_refused_by_name(api: httpx.AsyncClient) -> None:
    for query, said in BAD_QUERIES.items():
        response = await api.get(f"/v1/jobs?{query}")

        assert (response.status_code, response.json()["code"]) == (400, "bad_request"), query
        assert said in response.json()["detail"]


async def test_all_that_is_wrong_with_a_query_is_told_at_once(api: httpx.AsyncClient) -> None:
    detail = (await api.get("/v1/jobs?limit=0&cursor=abc&status=x")).json()["detail"]
    assert all(name in detail for name in ("limit must", "cursor is not", "status must"))


async def test_a_timeline_begins_with_the_acceptance(api: httpx.AsyncClient, accepted: Accepting) -> None:
    job = await accepted()
    response = await api.get(f"/v1/jobs/{job.id}/events")

    [entry] = response.json()["data"]
    assert response.status_code == 200
    assert list(entry) == ["sequence", "type", "at", "data"]
    assert (entry["sequence"], entry["type"], entry["data"]) == (1, "job.accepted", {})
    assert entry["at"] == (await api.get(f"/v1/jobs/{job.id}")).json()["created_at"]


async def test_a_timeline_is_json(api: httpx.AsyncClient, accepted: Accepting) -> None:
    job = await accepted()
    answers = {
        "text/event-stream": 406,
        "text/html, text/event-stream": 406,
        "text/event-stream, application/json;q=0.5": 200,
        "application/*": 200,
        "*/*": 200,
    }
    for accept, status in answers.items():
        response = await api.get(f"/v1/jobs/{job.id}/events", headers={"Accept": accept})
        assert response.status_code == status, accept


CALLS = [("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")]
STRANGE_IDS = ["1", "0190-", "g" * 36, "%00", "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057", "a" * 5000]


async def test_what_is_no_id_is_not_found(api: httpx.AsyncClient) -> None:
    for method, path in CALLS:
        for job_id in STRANGE_IDS:
            response = await api.request(method, f"/v1/jobs/{job_id}{path}")

            assert (response.status_code, response.json()["code"]) == (404, "not_found"), job_id
            assert response.json()["detail"].startswith("There is no such job: ids are UUIDs")


async def test_an_unknown_id_is_not_found(api: httpx.AsyncClient) -> None:
    for method, path in CALLS:
        job_id = uuid7()
        response = await api.request(method, f"/v1/jobs/{job_id}{path}")

        assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert response.json()["detail"] == f"There is no job {job_id}."


async def test_a_job_of_another_tenant_or_of_the_other_mode_is_not_found(
    api: httpx.AsyncClient,
    accepted: Accepting,
    another_tenant: Callable[[str], Awaitable[Tenant]],
    new_key: NewKey,
    tenant: Tenant,
) -> None:
    job = await accepted()
    for other in (await another_tenant("other"), Tenant(id=tenant.id, mode="test")):
        key = {"Authorization": f"Bearer {await new_key(other)}"}
        for method, path in CALLS:
            response = await api.request(method, f"/v1/jobs/{job.id}{path}", headers=key)
            assert response.status_code == 404
        assert (await api.get("/v1/jobs", headers=key)).json()["data"] == []

    assert (await api.get(f"/v1/jobs/{job.id}")).json()["status"] == "accepted"


async def test_parameters_of_calls_that_take_none_are_refused(
    api: httpx.AsyncClient, accepted: Accepting
) -> None:
    job = await accepted()
    for method, path in CALLS:
        response = await api.request(method, f"/v1/jobs/{job.id}{path}?wait=1")
        assert response.status_code == 400
        assert response.json()["detail"] == "Not a parameter of this call: 'wait'; there are none."


async def test_an_ended_job_shows_its_delivery(api: httpx.AsyncClient, accepted: Accepting) -> None:
    job = await accepted(callback_url="https://hooks.example/a")
    assert (await api.get(f"/v1/jobs/{job.id}")).json()["delivery"] is None

    await api.post(f"/v1/jobs/{job.id}/cancel")

    pending: dict[str, Any] = {"url": "https://hooks.example/a", "status": "pending", "attempts": 0}
    assert (await api.get(f"/v1/jobs/{job.id}")).json()["delivery"] == pending
    assert (await api.get("/v1/jobs")).json()["data"][0]["delivery"] == pending
