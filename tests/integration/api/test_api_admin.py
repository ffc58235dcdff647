"""What operators of the platform do over the API."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from harness.estate import dump
from sqlalchemy import select

from service.database import Database
from service.encryption import Vault
from service.tenants import tokens
from service.tenants.models import UpstreamTokenRow
from service.tenants.tenant import Tenant
from service.webhooks import secrets

from .conftest import USUAL

TENANTS = "/v1/admin/tenants"
VAULT = Vault.from_text(USUAL["secret_key"])


async def created(operator: httpx.AsyncClient, **given: Any) -> dict[str, Any]:
    answer = await operator.post(TENANTS, json={"name": "shop", **given})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_tenant_is_made_with_its_secret_and_first_key_and_can_begin(
    operator: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    answer = await operator.post(TENANTS, json={"name": "shop", "limits": {"max_in_flight": 5, "weight": 2}})
    made = answer.json()
    url = f"{TENANTS}/{made['id']}"
    assert answer.headers["Location"] == f"https://jobs.example{url}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (made["limits"]["max_in_flight"], made["limits"]["weight"], made["limits"]["max_keys"]) == (
        5,
        2,
        100,
    )
    async with database.transaction() as connection:
        secret = made.pop("signing_secret")
        sealed = (await connection.execute(select(secrets.SECRETS.c.id, secrets.SECRETS.c.sealed))).one()
    assert VAULT.open(sealed.sealed, row=sealed.id).decode() == secret

    key = (await operator.post(f"{url}/keys", json={"scopes": ["jobs:read", "jobs:write"]})).json()
    body = {"input": {"prompt": "x", "image_urls": ["https://pictures.example/a.png"]}}
    accepted = await stranger.post("/v1/jobs", json=body, headers={"Authorization": f"Bearer {key['key']}"})
    assert accepted.status_code == 202

    shown = (await operator.get(url)).json()
    in_use = shown.pop("in_use")
    assert shown == made
    assert in_use == {"in_flight": 0, "queued": 1, "endpoints": 0, "keys": 1}


async def test_a_name_that_is_taken_is_refused(operator: httpx.AsyncClient) -> None:
    await created(operator)
    refused = await operator.post(TENANTS, json={"name": "shop"})
    assert (refused.status_code, refused.json()["code"]) == (409, "name_taken")
    other = await created(operator, name="other")
    refused = await operator.patch(f"{TENANTS}/{other['id']}", json={"name": "shop"})
    assert (refused.status_code, refused.json()["code"]) == (409, "name_taken")


async def test_tenants_are_listed_newest_first_page_by_page(operator: httpx.AsyncClient) -> None:
    made = [(await created(operator, name=f"shop {number}"))["id"] for number in range(3)]
    first = (await operator.get(TENANTS, params={"limit": 2})).json()
    second = (await operator.get(TENANTS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [tenant["id"] for tenant in first["data"] + second["data"]] == made[::-1]
    assert second["next_cursor"] is None


async def test_a_tenant_is_changed_by_what_is_named_and_nothing_else(operator: httpx.AsyncClient) -> None:
    made = await created(operator)
    url = f"{TENANTS}/{made['id']}"
    changed = (await operator.patch(url, json={"limits": {"max_keys": 3}, "name": "shop two"})).json()
    assert changed["limits"] == made["limits"] | {"max_keys": 3}
    assert (changed["name"], changed["disabled_at"]) == ("shop two", None)
    disabled = (await operator.patch(url, json={"disabled": True})).json()
    assert disabled["disabled_at"] is not None
    again = (await operator.patch(url, json={"disabled": True})).json()
    assert again["disabled_at"] == disabled["disabled_at"]
    assert (await operator.patch(url, json={"disabled": False})).json()["disabled_at"] is None
    assert (await operator.patch(url, json={})).status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": " shop"}, "/name"),
        ({"name": "a\u0000b"}, "/name"),
        ({"limits": {"weight": 0}}, "/limits/weight"),
        ({"limits": {"weight": 1001}}, "/limits/weight"),
        ({"limits": {"max_in_flight": -1}}, "/limits/max_in_flight"),
        ({"limits": {"max_in_flight": 2**31}}, "/limits/max_in_flight"),
        ({"limits": {"requests_per_second": 0}}, "/limits/requests_per_second"),
        ({"limits": {"max_anything": 1}}, "/limits/max_anything"),
        ({"disabled": "yes"}, "/disabled"),
        ({"id": "x"}, "/id"),
    ],
    ids=str,
)
async def test_a_change_that_cannot_be_is_refused_where_it_is_wrong(
    operator: httpx.AsyncClient, tenant: Tenant, change: dict[str, Any], pointer: str
) -> None:
    refused = await operator.patch(f"{TENANTS}/{tenant.id}", json=change)
    assert refused.status_code == 422, refused.text
    assert {fault["pointer"] for fault in refused.json()["errors"]} == {pointer}


async def test_an_upstream_token_is_sealed_rotated_and_removed_and_never_shown(
    operator: httpx.AsyncClient, database: Database, tenant: Tenant
) -> None:
    url = f"{TENANTS}/{tenant.id}"
    for token in ("first-secret", "second-secret"):
        put = await operator.put(f"{url}/upstream-token", json={"token": token, "max_in_flight": 7})
        assert (put.status_code, put.content) == (204, b"")
        async with database.transaction() as connection:
            [own] = await tokens.own(connection)
        assert VAULT.open(own.sealed, row=own.id).decode() == token
    shown = (await operator.get(url)).json()
    assert shown["upstream_token"] == {"max_in_flight": 7, "trouble": None, "trouble_since": None}
    async with database.transaction() as connection:
        await tokens.report(connection, own.id, trouble="no balance")
    assert (await operator.get(url)).json()["upstream_token"]["trouble"] == "no balance"
    # Anybody may ask how the service is: hears that there is trouble, and nothing of whose or why.
    ready = await operator.get("/health/ready")
    assert "1 of the tenants' own accounts" in ready.json()["degraded"][0]
    assert "no balance" not in ready.text
    for _ in range(2):
        assert (await operator.delete(f"{url}/upstream-token")).status_code == 204
    assert (await operator.get(url)).json()["upstream_token"] is None
    assert not any(b"secret" in row.encode() for rows in (await dump(database)).values() for row in rows)
    async with database.transaction() as connection:
        left = (await connection.execute(select(UpstreamTokenRow.__table__.c.sealed))).scalars().all()
    assert set(left) == {None}


async def test_a_token_that_is_none_is_refused(operator: httpx.AsyncClient, tenant: Tenant) -> None:
    for token in ("", "two words", "a\r\nb", "ü", "x" * 4097):
        body = {"token": token, "max_in_flight": 1}
        refused = await operator.put(f"{TENANTS}/{tenant.id}/upstream-token", json=body)
        assert refused.status_code == 422
        assert not token or token not in refused.text


async def test_who_changed_what_is_told_newest_first(
    operator: httpx.AsyncClient, another_tenant: Callable[[str], Awaitable[Tenant]]
) -> None:
    await another_tenant("other")
    made = await created(operator)
    url = f"{TENANTS}/{made['id']}"
    await operator.patch(url, json={"limits": {"weight": 3}, "disabled": True})
    await operator.put(f"{url}/upstream-token", json={"token": "hidden", "max_in_flight": 7})
    key = (await operator.post(f"{url}/keys", json={"name": "first", "scopes": ["jobs:read"]})).json()
    await operator.delete(f"{url}/keys/{key['id']}")

    log = (await operator.get("/v1/admin/audit-log", params={"tenant_id": made["id"]})).json()
    assert [entry["action"] for entry in log["data"]] == [
        *("key.revoked", "key.created", "token.set"),
        *("tenant.disabled", "tenant.changed", "tenant.created"),
    ]
    assert {entry["tenant_id"] for entry in log["data"]} == {made["id"]}
    assert all(entry["actor"].startswith("key:") for entry in log["data"])
    assert log["data"][0]["data"] == {"key_id": key["id"], "name": "first"}
    assert "hidden" not in str(log)
    assert key["key"] not in str(log)

    everything = (await operator.get("/v1/admin/audit-log", params={"limit": 4})).json()
    assert everything["data"] == log["data"][:4]
    rest = await operator.get("/v1/admin/audit-log", params={"cursor": everything["next_cursor"]})
    assert [entry["action"] for entry in rest.json()["data"]][-1] == "key.created", "the operator's own"
    assert (await operator.get("/v1/admin/audit-log", params={"tenant_id": "me"})).status_code == 400


async def test_a_key_of_another_tenant_is_not_under_this_one(
    operator: httpx.AsyncClient, another_tenant: Callable[[str], Awaitable[Tenant]], tenant: Tenant
) -> None:
    other = await another_tenant("other")
    key = (await operator.post(f"{TENANTS}/{tenant.id}/keys", json={"scopes": ["jobs:read"]})).json()
    assert (await operator.delete(f"{TENANTS}/{other.id}/keys/{key['id']}")).status_code == 404
    [listed] = (await operator.get(f"{TENANTS}/{tenant.id}/keys")).json()["data"]
    assert listed["revoked_at"] is None
    assert (await operator.get(f"{TENANTS}/{other.id}/keys")).json()["data"] == []


async def test_a_tenant_that_is_none_is_not_found(operator: httpx.AsyncClient) -> None:
    for tenant_id in (str(uuid4()), "shop"):
        url = f"{TENANTS}/{tenant_id}"
        token, key = {"token": "t", "max_in_flight": 1}, {"scopes": ["jobs:read"]}
        for answer in (
            await operator.get(url),
            await operator.patch(url, json={"disabled": True}),
            await operator.patch(url, json={}),
            await operator.put(f"{url}/upstream-token", json=token),
            await operator.delete(f"{url}/upstream-token"),
            await operator.post(f"{url}/keys", json=key),
            await operator.get(f"{url}/keys"),
            await operator.delete(f"{url}/keys/{uuid4()}"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.url
