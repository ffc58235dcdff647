"""Tenants and keys that commands make and change, on a real Postgres, and what the API makes of them."""

import re

import httpx
import pytest
from harness.command import Command

pytestmark = pytest.mark.usefixtures("logging_kept")


async def test_a_tenant_is_made_with_its_limits_and_its_secret(run: Command) -> None:
    made = await run.decoded("tenants", "create", "shop", "--max-in-flight", "7", "--weight", "3")
    assert list(made) == ["id", "name", "signing_secret"]
    assert made["name"] == "shop"
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["signing_secret"])
    (listed,) = await run.decoded("tenants", "list")
    assert (listed["name"], listed["id"]) == ("shop", made["id"])
    assert (listed["max_in_flight"], listed["weight"]) == (7, 3)
    assert (listed["max_queued"], listed["max_keys"], listed["disabled_at"]) == (100_000, 100, None)


async def test_a_name_that_is_taken_is_refused_and_changes_nothing(run: Command) -> None:
    await run.good("tenants", "create", "twice")
    before = await run.decoded("tenants", "list")
    assert "error: There is a tenant named twice already" in await run.refused("tenants", "create", "twice")
    assert await run.decoded("tenants", "list") == before


async def test_limits_are_changed_one_by_one(run: Command) -> None:
    made = await run.decoded("tenants", "create", "limited")
    changed = await run.decoded("tenants", "set", "limited", "--weight", "5")
    assert changed == {
        "id": made["id"],
        "name": "limited",
        "max_in_flight": 1000,
        "max_queued": 100_000,
        "requests_per_second": 1000,
        "max_endpoints": 20,
        "max_keys": 100,
        "weight": 5,
    }
    again = await run.decoded("tenants", "set", made["id"], "--max-in-flight", "0", "--max-keys", "3")
    assert again == changed | {"max_in_flight": 0, "max_keys": 3}


async def test_a_key_opens_the_api(run: Command, stranger: httpx.AsyncClient) -> None:
    await run.good("tenants", "create", "caller")
    made = await run.decoded("keys", "create", "caller", "--name", "backend")
    assert list(made) == ["id", "key", "tenant", "mode", "scopes"]
    assert (made["tenant"], made["mode"], made["scopes"]) == ("caller", "live", ["jobs:read", "jobs:write"])
    assert await status(stranger, made["key"]) == 200
    (listed,) = await run.decoded("keys", "list")
    assert (listed["id"], listed["name"]) == (made["id"], "backend")
    assert (listed["prefix"], listed["revoked_at"]) == (made["key"][:12], None)
    assert made["key"] not in await run.good("keys", "list")


async def test_a_key_that_was_revoked_opens_nothing(run: Command, stranger: httpx.AsyncClient) -> None:
    await run.good("tenants", "create", "former")
    made = await run.decoded("keys", "create", "former")
    await run.good("keys", "revoke", made["id"])
    assert await status(stranger, made["key"]) == 401
    (listed,) = await run.decoded("keys", "list")
    assert (listed["id"], listed["revoked_at"] is None) == (made["id"], False)


async def test_a_key_allows_what_it_was_made_for(run: Command, stranger: httpx.AsyncClient) -> None:
    await run.good("tenants", "create", "narrow")
    made = await run.decoded("keys", "create", "narrow", "--scope", "jobs:write")
    assert made["scopes"] == ["jobs:write"]
    assert await status(stranger, made["key"]) == 403


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["keys", "create", "nobody-knows"], "error: There is no tenant nobody-knows"),
        (["tenants", "set", "nobody-knows", "--weight", "2"], "error: There is no tenant nobody-knows"),
        (["keys", "revoke", "01890a5d-ac96-774b-bcce-b302099a8057"], "error: There is no key 01890a5d"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_what_is_not_there_is_named(run: Command, command: list[str], message: str) -> None:
    assert message in await run.refused(*command)


async def test_a_scope_that_does_not_exist_is_refused_with_those_that_do(run: Command) -> None:
    await run.good("tenants", "create", "curious")
    said = await run.refused("keys", "create", "curious", "--scope", "everything")
    assert "There is no scope everything. Scopes are: jobs:read, jobs:write" in said


async def status(client: httpx.AsyncClient, key: str) -> int:
    """What the list of jobs answers to this key."""
    answer = await client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"})
    return answer.status_code
