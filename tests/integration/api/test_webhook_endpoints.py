"""Endpoints over the API: registered, read, changed, removed."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from service.database import Database
from service.tenants import audit
from service.tenants.tenant import Tenant
from service.webhooks.models import DISABLED_REASONS

PATH = "/v1/webhook-endpoints"
URL = "https://example.com/hooks/edits"


async def register(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(PATH, json={"url": URL} | fields)
    assert answer.status_code == 201, answer.text
    endpoint: dict[str, Any] = answer.json()
    return endpoint


async def test_an_endpoint_gets_how_jobs_end_and_its_secret_is_shown_once(api: httpx.AsyncClient) -> None:
    answer = await api.post(PATH, json={"url": URL})
    made = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"] == f"https://jobs.example{PATH}/{made['id']}"
    assert made.pop("secret").startswith("whsec_")
    assert made == {
        "id": made["id"],
        "url": URL,
        "events": ["job.completed", "job.failed", "job.cancelled", "job.expired"],
        "description": "",
        "signing": "v1",
        "mode": "live",
        "enabled": True,
        "status": "active",
        "disabled_at": None,
        "disabled_reason": None,
        "failing_since": None,
        "last_success_at": None,
        "breaker": {"state": "closed", "open_until": None},
        "waiting": {"pending": 0, "held": 0},
        "created_at": made["created_at"],
    }
    assert (await api.get(f"{PATH}/{made['id']}")).json() == made
    assert (await api.get(PATH)).json() == {"data": [made]}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/url"]),
        ([], [""]),
        ({"url": "http://example.com/"}, ["/url"]),
        ({"url": "https://10.0.0.1/"}, ["/url"]),
        ({"url": "https://localhost/"}, ["/url"]),
        ({"url": "https://a.example/\u0000"}, ["/url"]),
        ({"url": URL, "events": []}, ["/events"]),
        ({"url": URL, "events": ["job.completed", "job.completed"]}, ["/events"]),
        ({"url": URL, "events": ["job.lost", "endpoint.disabled"]}, ["/events/0", "/events/1"]),
        ({"url": URL, "signing": "v2", "description": "x" * 501, "colour": 1},
         ["/colour", "/description", "/signing"]),
        ({"url": URL, "enabled": False}, ["/enabled"]),
    ],
)  # fmt: skip
async def test_all_faults_of_a_registration_are_told_at_once(
    api: httpx.AsyncClient, body: object, pointers: list[str]
) -> None:
    answer = await api.post(PATH, json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == pointers


async def test_an_allowed_network_may_be_registered(serving: Any, api: httpx.AsyncClient) -> None:
    async with serving(webhook_allowed_networks="10.0.0.0/8") as client:
        client.headers["Authorization"] = api.headers["Authorization"]
        assert (await client.post(PATH, json={"url": "http://10.1.2.3:8080/hook"})).status_code == 201
        assert (await client.post(PATH, json={"url": "http://192.168.1.1/hook"})).status_code == 422


async def test_a_url_is_registered_once_in_each_mode(
    api: httpx.AsyncClient, tenant: Tenant, new_key: Any
) -> None:
    first = await register(api)
    again = await api.post(PATH, json={"url": URL})
    assert (again.status_code, again.json()["code"]) == (409, "endpoint_exists")
    assert first["id"] in again.json()["detail"]
    other = await register(api, url=f"{URL}/2")
    changed = await api.patch(f"{PATH}/{other['id']}", json={"url": URL})
    assert changed.json()["code"] == "endpoint_exists"
    assert (await api.patch(f"{PATH}/{first['id']}", json={"url": URL})).status_code == 200

    test = {"Authorization": f"Bearer {await new_key(Tenant(tenant.id, 'test'))}"}
    made = (await api.post(PATH, json={"url": URL}, headers=test)).json()
    assert made["mode"] == "test"
    assert (await api.get(f"{PATH}/{made['id']}")).status_code == 404
    assert (await api.get(f"{PATH}/{first['id']}", headers=test)).status_code == 404
    assert [one["id"] for one in (await api.get(PATH, headers=test)).json()["data"]] == [made["id"]]
    counts = [(await api.get("/v1/tenant", headers=headers)).json()["in_use"] for headers in ({}, test)]
    assert [count["endpoints"] for count in counts] == [2, 1]


async def test_a_tenant_has_so_many_endpoints_and_no_more_however_many_ask_at_once(
    api: httpx.AsyncClient, database: Database
) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE tenants SET max_endpoints = 3"))
    answers = await asyncio.gather(*(api.post(PATH, json={"url": f"{URL}/{n}"}) for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 5
    (refused, *_) = (answer for answer in answers if answer.status_code == 429)
    problem = refused.json()
    assert (problem["code"], problem["limit"], problem["retryable"]) == (
        "limit_reached",
        "max_endpoints",
        False,
    )
    assert refused.headers["retry-after"] == "60"
    (oldest, *_) = (await api.get(PATH)).json()["data"]
    assert (await api.delete(f"{PATH}/{oldest['id']}")).status_code == 204
    await register(api, url=f"{URL}/more")


async def test_what_is_changed_is_changed_and_the_rest_stays(api: httpx.AsyncClient) -> None:
    made = await register(api, description="before", signing="v1a")
    del made["secret"]
    url = f"{PATH}/{made['id']}"
    change = {"url": f"{URL}/2", "events": ["job.submitted", "job.completed"], "description": ""}
    assert (await api.patch(url, json=change)).json() == made | change
    assert (await api.patch(url, json={})).json() == made | change
    refused = await api.patch(url, json={"url": None, "signing": "v1", "enabled": "no"})
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/enabled", "/signing", "/url"]


async def test_each_change_of_an_endpoint_is_in_the_audit_log_without_what_its_url_may_hide(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, tenant: Tenant
) -> None:
    (key,) = (await api.get("/v1/api-keys")).json()["data"]
    made = await register(api, url=f"{URL}?token=hidden")
    url = f"{PATH}/{made['id']}"
    await api.patch(url, json={"url": "https://other.example/hidden", "enabled": False})
    await api.patch(url, json={"url": "https://other.example/hidden", "enabled": False, "description": ""})
    await api.patch(url, json={"enabled": True})
    await api.delete(url)

    log = await operator.get("/v1/admin/audit-log", params={"tenant_id": str(tenant.id)})
    entries = [entry for entry in log.json()["data"] if entry["action"].startswith("endpoint.")]
    assert [(entry["action"].removeprefix("endpoint."), entry["data"]) for entry in reversed(entries)] == [
        ("created", {"endpoint_id": made["id"], "origin": "https://example.com"}),
        ("changed", {"endpoint_id": made["id"], "origin": "https://other.example", "changed": ["url"]}),
        ("disabled", {"endpoint_id": made["id"], "origin": "https://other.example"}),
        ("enabled", {"endpoint_id": made["id"], "origin": "https://other.example"}),
        ("removed", {"endpoint_id": made["id"], "origin": "https://other.example"}),
    ]
    assert {entry["actor"] for entry in entries} == {f"key:{key['id']}"}
    assert "hidden" not in log.text


async def test_disabling_is_told_with_its_reason_and_enabling_takes_it_back(api: httpx.AsyncClient) -> None:
    made = await register(api)
    url = f"{PATH}/{made['id']}"
    disabled = (await api.patch(url, json={"enabled": False})).json()
    assert (disabled["enabled"], disabled["status"], disabled["disabled_reason"]) == (
        False, "disabled", "asked",
    )  # fmt: skip
    again = (await api.patch(url, json={"enabled": False})).json()
    assert again["disabled_at"] == disabled["disabled_at"]
    enabled = (await api.patch(url, json={"enabled": True})).json()
    assert (enabled["enabled"], enabled["disabled_at"], enabled["disabled_reason"]) == (True, None, None)


async def test_how_it_stands_with_an_endpoint_is_shown_and_forgotten_when_it_is_enabled_again(
    api: httpx.AsyncClient, database: Database
) -> None:
    made = await register(api)
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = :reason,"
                " failing_since = '2025-12-01T00:00:00Z', failed_events = 9,"
                " succeeded_at = '2025-11-30T00:00:00Z'"
            ),
            {"reason": DISABLED_REASONS[-1]},
        )
        await connection.execute(
            text(
                "INSERT INTO webhook_lanes (tenant_id, origin, failures, openings, open_until)"
                " SELECT tenant_id, 'endpoint:' || id, 5, 1, now() + interval '1 hour' FROM webhook_endpoints"
            )
        )
    shown = (await api.get(f"{PATH}/{made['id']}")).json()
    assert shown["failing_since"] == "2025-12-01T00:00:00.000000Z"
    assert shown["last_success_at"] == "2025-11-30T00:00:00.000000Z"
    assert (shown["disabled_reason"], shown["breaker"]["state"]) == ("failing", "open")
    enabled = (await api.patch(f"{PATH}/{made['id']}", json={"enabled": True})).json()
    assert (enabled["status"], enabled["breaker"]["state"], enabled["failing_since"]) == (
        "active", "closed", None,
    )  # fmt: skip


async def test_a_removed_endpoint_is_gone_with_its_secrets(
    api: httpx.AsyncClient, database: Database
) -> None:
    url = f"{PATH}/{(await register(api))['id']}"
    assert (await api.delete(url)).status_code == 204
    assert [(await api.request(method, url)).status_code for method in ("GET", "DELETE")] == [404, 404]
    async with database.statement() as connection:
        left = await connection.execute(text("SELECT count(*) FROM webhook_secrets"))
        assert left.scalar_one() == 0


async def test_a_rotated_secret_is_shown_once_and_the_ends_of_those_before_it(api: httpx.AsyncClient) -> None:
    made = await register(api)
    url = f"{PATH}/{made['id']}/rotate-secret"
    first = await api.post(url)
    assert first.headers["cache-control"] == "no-store"
    rotated = first.json()
    assert rotated["secret"] != made["secret"]
    assert rotated["expires_at"] is None
    assert [list(one) for one in rotated["previous"]] == [["created_at", "expires_at"]]
    assert (await api.post(url, json={"grace_seconds": 0})).json()["previous"] == []
    said_to_be_json = await api.post(url, headers={"content-type": "application/json"})
    assert said_to_be_json.status_code == 200
    wrong = await api.post(url, json={"grace_seconds": 10_000_000, "why": 1})
    assert [fault["pointer"] for fault in wrong.json()["errors"]] == ["/grace_seconds", "/why"]


async def test_who_rotated_which_secret_stands_in_the_audit_log(
    api: httpx.AsyncClient, database: Database, tenant: Tenant
) -> None:
    made = await register(api)
    answers = [
        await api.post(f"{PATH}/{made['id']}/rotate-secret", json={"grace_seconds": 0}),
        await api.post("/v1/signing-secret/rotate"),
    ]
    async with database.transaction() as connection:
        entries = await audit.page(connection, tenant_id=tenant.id, limit=2)
    assert [(one.action, one.data) for one in entries] == [
        ("secret.rotated", {"mode": "live", "grace_seconds": 86_400}),
        ("secret.rotated", {"endpoint_id": made["id"], "grace_seconds": 0}),
    ]
    assert all(one.actor.startswith("key:") for one in entries)
    assert not [one for one in answers if one.json()["secret"] in str(entries)]


async def test_reading_needs_webhooks_read_and_changing_webhooks_write(
    api: httpx.AsyncClient, tenant: Tenant, new_key: Any
) -> None:
    made = await register(api)
    url = f"{PATH}/{made['id']}"
    reads = [("GET", PATH), ("GET", url), ("GET", "/v1/webhook-deliveries"), ("GET", "/v1/events")]
    delivery = f"/v1/webhook-deliveries/{uuid4()}"
    reads += [("GET", delivery)]
    writes = [("POST", PATH), ("PATCH", url), ("DELETE", url), ("POST", f"{url}/rotate-secret")]
    writes += [("POST", f"{url}/test"), ("POST", f"{url}/replay"), ("POST", f"{delivery}/redeliver")]
    writes += [("GET", "/v1/signing-secret"), ("POST", "/v1/signing-secret/rotate")]
    for needed, refused, given in (
        ("webhooks:read", reads, ("jobs:read", "jobs:write", "keys:write", "webhooks:write")),
        ("webhooks:write", writes, ("jobs:read", "jobs:write", "keys:write", "webhooks:read")),
    ):
        key = {"Authorization": f"Bearer {await new_key(tenant, scopes=given)}"}
        for method, path in refused:
            answer = await api.request(method, path, headers=key, json={} if method != "GET" else None)
            assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope"), (method, path)
            assert needed in answer.json()["detail"]


async def test_another_tenants_endpoint_is_not_there(
    api: httpx.AsyncClient, another_tenant: Any, new_key: Any
) -> None:
    url = f"{PATH}/{(await register(api))['id']}"
    theirs = {"Authorization": f"Bearer {await new_key(await another_tenant('other'))}"}
    window = {"since": "2026-01-01T00:00:00Z"}
    for method, path, body in (
        ("GET", url, None), ("PATCH", url, {}), ("DELETE", url, None), ("POST", f"{url}/rotate-secret", {}),
        ("POST", f"{url}/test", None), ("POST", f"{url}/replay", window),
        ("GET", f"{PATH}/nonsense", None),
    ):  # fmt: skip
        answer = await api.request(method, path, json=body, headers=theirs)
        assert answer.status_code == 404, (method, path)
    assert (await api.get(PATH, headers=theirs)).json() == {"data": []}
    assert (await api.get(url)).status_code == 200
