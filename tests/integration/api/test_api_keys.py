"""What a tenant does about its keys, and sees of itself."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from service.database import Database
from service.jobs.job import Job
from service.tenants import store
from service.tenants.keys import SCOPES, is_well_formed
from service.tenants.tenant import Tenant

NewKey = Callable[..., Awaitable[str]]

KEYS = "/v1/api-keys"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def forget(app: Litestar) -> None:
    """As if five seconds were over."""
    app.state.parts.keyring._known.clear()


async def created(api: httpx.AsyncClient, **wish: Any) -> dict[str, Any]:
    answer = await api.post(KEYS, json={"scopes": ["jobs:read"], **wish})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_key_is_made_shown_once_used_listed_and_revoked(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, app: Litestar
) -> None:
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    answer = await api.post(KEYS, json={"name": "backend", "scopes": ["jobs:read"], "expires_at": until})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert is_well_formed(made["key"])
    assert (made["name"], made["mode"], made["scopes"]) == ("backend", "live", ["jobs:read"])
    assert (made["expires_at"], made["revoked_at"], made["last_used_at"]) == (until, None, None)

    key = made.pop("key")
    assert (await stranger.get("/v1/jobs", headers=bearer(key))).status_code == 200
    listed = (await api.get(KEYS)).json()
    assert listed["data"][0] == made
    assert listed["next_cursor"] is None

    for _ in range(2):
        assert (await api.delete(f"{KEYS}/{made['id']}")).status_code == 204
    forget(app)
    refused = await stranger.get("/v1/jobs", headers=bearer(key))
    assert (refused.status_code, refused.json()["code"]) == (401, "key_revoked")
    assert (await api.get(KEYS)).json()["data"][0]["revoked_at"] is not None


async def test_a_list_of_keys_goes_on_page_by_page(api: httpx.AsyncClient) -> None:
    made = [(await created(api, name=str(number)))["id"] for number in range(5)]
    seen = []
    params: dict[str, Any] = {"limit": 2}
    for _ in range(3):
        page = (await api.get(KEYS, params=params)).json()
        seen += [key["id"] for key in page["data"]]
        params["cursor"] = page["next_cursor"]
    assert params["cursor"] is None
    assert seen[:5] == made[::-1]
    assert len(seen) == 6, "the key that asks is one of them"


async def test_a_key_gives_no_more_than_it_has(
    stranger: httpx.AsyncClient, tenant: Tenant, new_key: NewKey
) -> None:
    narrow = await new_key(tenant, scopes=("jobs:read", "keys:write"))
    refused = await stranger.post(KEYS, json={"scopes": ["jobs:read", "jobs:write"]}, headers=bearer(narrow))
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert "jobs:write" in refused.json()["detail"]
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'

    trial = await new_key(Tenant(tenant.id, "test"))
    refused = await stranger.post(KEYS, json={"scopes": ["jobs:read"], "mode": "live"}, headers=bearer(trial))
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    made = await stranger.post(KEYS, json={"scopes": ["jobs:read"]}, headers=bearer(trial))
    assert made.json()["mode"] == "test"
    assert made.json()["key"].startswith("ej_test_")


async def test_a_live_key_looks_after_test_keys_and_a_test_key_does_not_see_live_ones(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, tenant: Tenant, new_key: NewKey
) -> None:
    live, trial = await created(api), await created(api, mode="test")
    headers = bearer(await new_key(Tenant(tenant.id, "test")))
    answer = await stranger.delete(f"{KEYS}/{live['id']}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    modes = {key["mode"] for key in (await stranger.get(KEYS, headers=headers)).json()["data"]}
    assert modes == {"test"}
    assert (await api.delete(f"{KEYS}/{trial['id']}")).status_code == 204
    listed = {key["id"]: key["revoked_at"] for key in (await api.get(KEYS)).json()["data"]}
    assert (listed[live["id"]], listed[trial["id"]] is None) == (None, False)


async def test_a_tenant_has_no_more_live_keys_than_it_may(
    api: httpx.AsyncClient, database: Database, tenant: Tenant
) -> None:
    async with database.transaction() as connection:
        await store.change(connection, tenant.id, limits={"max_keys": 2}, actor="test")
    made = await created(api)
    refused = await api.post(KEYS, json={"scopes": ["jobs:read"]})
    assert (refused.status_code, refused.json()["code"]) == (429, "limit_reached")
    assert (refused.json()["limit"], refused.headers["retry-after"]) == ("max_keys", "60")
    await api.delete(f"{KEYS}/{made['id']}")
    await created(api)


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({}, "/scopes"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["admin"]}, "/scopes/0"),
        ({"scopes": ["jobs:read", "jobs:read"]}, "/scopes"),
        ({"scopes": ["jobs:read"], "expires_at": "tomorrow"}, "/expires_at"),
        ({"scopes": ["jobs:read"], "name": "a\nb"}, "/name"),
        ({"scopes": ["jobs:read"], "name": "x" * 101}, "/name"),
        ({"scopes": ["jobs:read"], "mode": "dead"}, "/mode"),
        ({"scopes": ["jobs:read"], "more": 1}, "/more"),
    ],
    ids=str,
)
async def test_what_is_no_key_is_refused_where_it_is_wrong(
    api: httpx.AsyncClient, wish: dict[str, Any], pointer: str
) -> None:
    refused = await api.post(KEYS, json=wish)
    assert refused.status_code == 422
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer]


async def test_a_key_that_is_none_is_not_found(api: httpx.AsyncClient) -> None:
    for key_id in (str(uuid4()), "me"):
        assert (await api.delete(f"{KEYS}/{key_id}")).status_code == 404


async def test_a_key_that_would_have_expired_already_is_not_made(api: httpx.AsyncClient) -> None:
    wish = {"scopes": ["jobs:read"], "expires_at": "2020-01-31T18:00:00Z"}
    refused = await api.post(KEYS, json=wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "already_expired")


async def test_a_tenant_sees_its_limits_and_what_it_uses_of_them(
    api: httpx.AsyncClient, tenant: Tenant, accepted: Callable[..., Awaitable[Job]], database: Database
) -> None:
    for _ in range(3):
        await accepted()
    async with database.driver() as driver:
        await driver.execute(
            "UPDATE jobs SET status = 'in_queue', intent_at = now(), submitted_at = now(), upstream_id = 'u',"
            " token_id = '00000000-0000-7000-8000-000000000001' WHERE id = (SELECT id FROM jobs LIMIT 1)"
        )
    shown = (await api.get("/v1/tenant")).json()
    assert shown == {
        "id": str(tenant.id),
        "name": "acme",
        "created_at": shown["created_at"],
        "disabled_at": None,
        "limits": {
            "max_in_flight": 1000,
            "max_queued": 100_000,
            "requests_per_second": 1000,
            "max_endpoints": 20,
            "max_keys": 100,
            "weight": 1,
        },
        "upstream_token": None,
        "in_use": {"in_flight": 1, "queued": 2, "endpoints": 0, "keys": 1},
        "mode": "live",
    }


async def test_a_disabled_tenant_makes_no_more_work_and_can_read_and_cancel(
    api: httpx.AsyncClient,
    app: Litestar,
    tenant: Tenant,
    database: Database,
    accepted: Callable[..., Awaitable[Job]],
) -> None:
    job = await accepted()
    async with database.transaction() as connection:
        await store.disable(connection, tenant.id, actor="test")
    forget(app)
    body = {"prompt": "x", "image_urls": ["https://pictures.example/a.png"]}
    url = f"/v1/jobs/{job.id}"
    for answer in (await api.post("/v1/jobs", json={"input": body}), await api.post(f"{url}/retry")):
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant_disabled")
    mirrored = await api.post("/v1/models/blackforestlabs/flux-2/dev/edit", json=body)
    assert (mirrored.status_code, mirrored.json()["error_code"]) == (403, 403001)
    assert (await api.get(url)).json()["status"] == "accepted"
    assert (await api.get("/v1/tenant")).json()["disabled_at"] is not None
    assert (await api.post(f"{url}/cancel")).json()["status"] == "cancelled"

    async with database.transaction() as connection:
        await store.enable(connection, tenant.id, actor="test")
    forget(app)
    assert (await api.post(f"{url}/retry")).status_code == 202


async def test_an_operators_key_reaches_no_tenants_data(operator: httpx.AsyncClient) -> None:
    for path in ("/v1/jobs", "/v1/tenant", KEYS, "/v1/models"):
        answer = await operator.get(path)
        assert answer.status_code == 403, path


async def test_every_scope_can_be_given(api: httpx.AsyncClient) -> None:
    made = await created(api, scopes=list(SCOPES))
    assert made["scopes"] == list(SCOPES)
