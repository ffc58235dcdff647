"""The log of deliveries over the API: lists, one with its attempts, and sending once more."""

import json
from typing import Any
from uuid import uuid4

import pytest
from harness.levers import DELIVERIES, ENDPOINTS, Levers

from service.tenants.tenant import Tenant
from service.webhooks.store import erasure


async def test_a_delivery_is_shown_with_every_attempt(levers: Levers) -> None:
    endpoint = await levers.endpoint("status=500&times=1")
    event = await levers.tell()
    async with levers.working():
        (listed,) = await levers.logged("delivered")
    assert listed == {
        "id": listed["id"],
        "event_id": str(event.id),
        "type": "job.completed",
        "job_id": str(event.job_id),
        "endpoint_id": endpoint["id"],
        "url": endpoint["url"],
        "status": "delivered",
        "reason": None,
        "attempt_count": 2,
        "next_attempt_at": None,
        "created_at": listed["created_at"],
        "finished_at": listed["finished_at"],
        "mode": "live",
    }
    shown = (await levers.api.get(f"{DELIVERIES}/{listed['id']}")).json()
    attempts = shown.pop("attempts")
    assert shown == listed
    assert [(one["number"], one["status_code"], one["error"], one["response"]) for one in attempts] == [
        (1, 500, "HTTP 500", ""), (2, 204, None, ""),
    ]  # fmt: skip
    assert all(one["at"].endswith("Z") and one["latency_ms"] >= 0 for one in attempts)


async def test_lists_are_filtered_and_go_on_where_they_stopped(levers: Levers) -> None:
    first, second = await levers.endpoint(), await levers.endpoint(events=["job.failed"])
    told = [await levers.tell(kind) for kind in ("job.completed", "job.failed", "job.completed")]
    everything = await levers.log()
    assert [one["type"] for one in everything] == [
        "job.completed",
        "job.failed",
        "job.failed",
        "job.completed",
    ]
    assert [one["event_id"] for one in await levers.log(endpoint_id=first["id"])] == [
        str(event.id) for event in reversed(told)
    ]
    assert [one["url"] for one in await levers.log(endpoint_id=second["id"])] == [second["url"]]
    assert len(await levers.log(job_id=str(told[1].job_id))) == 2
    assert await levers.log(job_id=str(told[1].job_id), endpoint_id=first["id"], status="pending,held") == [
        one for one in everything if one["type"] == "job.failed" and one["endpoint_id"] == first["id"]
    ]
    assert await levers.log(status="delivered") == []
    assert await levers.log(endpoint_id=str(uuid4())) == []

    pages, cursor = [], None
    while True:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        answer = (await levers.api.get(DELIVERIES, params=query)).json()
        pages.append(answer["data"])
        if not (cursor := answer["next_cursor"]):
            break
    assert [len(page) for page in pages] == [3, 1]
    assert pages[0] + pages[1] == everything


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"status": "lost"}, "status must be one of"),
        ({"job_id": "7"}, "job_id must be a UUID"),
        ({"endpoint_id": "x", "cursor": "x"}, "cursor is not one"),
        ({"limit": "201"}, "limit must be an integer"),
        ({"url": "https://a.example"}, "Not a parameter"),
    ],
)
async def test_a_query_that_cannot_be_read_is_refused(levers: Levers, query: Any, said: str) -> None:
    answer = await levers.api.get(DELIVERIES, params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert said in answer.json()["detail"]


async def test_redelivering_sends_the_same_bytes_and_id_with_a_fresh_signature(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    event = await levers.tell()
    async with levers.working():
        (delivered,) = await levers.logged("delivered")
        answer = await levers.api.post(f"{DELIVERIES}/{delivered['id']}/redeliver")
        assert (answer.status_code, answer.json()["status"]) == (202, "pending")
        first, second = await levers.came(endpoint, 2)
    assert first.body == second.body == event.body.decode()
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(event.id)
    assert (first.headers["webhook-attempt"], second.headers["webhook-attempt"]) == ("1", "2")
    assert first.verified
    assert second.verified
    assert second.headers["webhook-timestamp"] >= first.headers["webhook-timestamp"]


async def test_what_cannot_be_redelivered_is_told(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    erased, kept = await levers.tell(), await levers.tell()
    async with levers.working():
        await levers.logged("delivered", 2)
    async with levers.database.transaction() as connection:
        await erasure.erase(connection, levers.tenant, erased.job_id, now=None)
    by_event = {one["event_id"]: f"{DELIVERIES}/{one['id']}/redeliver" for one in await levers.log()}

    answer = await levers.api.post(by_event[str(erased.id)])
    assert (answer.status_code, answer.json()["code"]) == (409, "not_redeliverable")
    assert "deleted" in answer.json()["detail"]
    await levers.change(endpoint, url=f"{levers.hook}?moved")
    assert "another URL" in (await levers.api.post(by_event[str(kept.id)])).json()["detail"]
    await levers.change(endpoint, enabled=False)
    assert "disabled" in (await levers.api.post(by_event[str(kept.id)])).json()["detail"]
    await levers.api.delete(f"{ENDPOINTS}/{endpoint['id']}")
    assert "removed" in (await levers.api.post(by_event[str(kept.id)])).json()["detail"]
    assert (await levers.log(endpoint_id=endpoint["id"]))[0]["status"] == "delivered"


async def test_another_tenants_and_the_other_modes_deliveries_are_not_there(
    levers: Levers, another_tenant: Any
) -> None:
    await levers.endpoint()
    await levers.tell()
    (delivery,) = await levers.log()
    test = Tenant(levers.tenant.id, "test")
    for key in (await levers.key(await another_tenant("other")), await levers.key(test)):
        assert (await levers.api.get(DELIVERIES, headers=key)).json()["data"] == []
        path = f"{DELIVERIES}/{delivery['id']}"
        answers = [
            await levers.api.get(path, headers=key),
            await levers.api.post(f"{path}/redeliver", headers=key),
            await levers.api.get(f"{DELIVERIES}/nonsense", headers=key),
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert json.loads((await levers.api.get("/v1/events")).text)["data"] == []
