"""What signs, over the API: the tenant's own secret, and the keys that everybody may know."""

import base64
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from litestar import Litestar

from service.database import Database
from service.tenants.tenant import Tenant
from service.webhooks import secrets, service_keys

PATH = "/v1/signing-secret"
KEYS = "/.well-known/webhook-keys.json"


async def test_the_secrets_in_force_are_shown_with_their_ends(
    api: httpx.AsyncClient, app: Litestar, tenant: Tenant, database: Database
) -> None:
    async with database.transaction() as connection:
        first = await secrets.issue(connection, app.state.parts.vault, tenant.id)
    shown = await api.get(PATH)
    assert shown.headers["cache-control"] == "no-store"
    assert shown.json() == {
        "secret": first, "created_at": shown.json()["created_at"], "expires_at": None, "previous": [],
    }  # fmt: skip
    rotated = (await api.post(f"{PATH}/rotate", json={"grace_seconds": 3600})).json()
    assert (await api.get(PATH)).json() == rotated
    assert rotated["secret"] != first
    (before,) = rotated["previous"]
    assert (before["secret"], rotated["expires_at"]) == (first, None)
    assert before["expires_at"] > rotated["created_at"]
    assert (await api.post(f"{PATH}/rotate", json={"grace_seconds": 0})).json()["previous"] == []


async def test_a_tenant_without_a_secret_is_told_how_to_get_one(api: httpx.AsyncClient) -> None:
    assert (await api.get(PATH)).status_code == 404
    made = await api.post(f"{PATH}/rotate")
    assert (await api.get(PATH)).json() == made.json()


async def test_a_test_key_sees_a_secret_of_its_own(
    api: httpx.AsyncClient, tenant: Tenant, new_key: Any
) -> None:
    live = (await api.post(f"{PATH}/rotate")).json()
    test = {"Authorization": f"Bearer {await new_key(Tenant(tenant.id, 'test'))}"}
    shown = (await api.get(PATH, headers=test)).json()
    assert shown["secret"] != live["secret"]
    await api.post(f"{PATH}/rotate", headers=test, json={"grace_seconds": 0})
    assert (await api.get(PATH)).json() == live


async def test_an_unknown_field_or_a_grace_out_of_bounds_is_refused(api: httpx.AsyncClient) -> None:
    wrong = await api.post(f"{PATH}/rotate", json={"grace_seconds": -1, "grace": 1})
    assert [fault["pointer"] for fault in wrong.json()["errors"]] == ["/grace", "/grace_seconds"]
    assert (await api.post(f"{PATH}/rotate", content=b"x")).status_code == 415


async def test_the_published_keys_need_no_key_and_may_be_kept_for_a_while(
    stranger: httpx.AsyncClient, app: Litestar, database: Database
) -> None:
    answer = await stranger.get(KEYS)
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["alg"]) == ("OKP", "Ed25519", "EdDSA")
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    async with database.transaction() as connection:
        (private,) = await service_keys.live(connection, app.state.parts.vault)
    public.verify(private.sign(b"text"), b"text")
    assert private.private_bytes_raw() not in answer.content
