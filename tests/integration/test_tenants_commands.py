"""What operators do about tenants and keys by commands, on a real Postgres."""

import getpass
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.command import Command
from harness.world import KEY

from service.clock import read_moment
from service.database import Database
from service.encryption import Vault
from service.tenants import keys, tokens

pytestmark = pytest.mark.usefixtures("logging_kept")

ME = f"{getpass.getuser()}@{socket.gethostname()}"


async def entries(run: Command, *arguments: str) -> list[tuple[str | None, str, Any]]:
    """The audit log, oldest first."""
    told = await run.decoded("audit", *arguments)
    assert {entry["actor"] for entry in told} <= {ME}
    return [(entry["tenant"], entry["action"], entry["data"]) for entry in reversed(told)]


async def test_a_tenants_whole_life_is_shown_and_noted(run: Command) -> None:
    made = await run.decoded("tenants", "create", "shop", "--max-keys", "3", "--requests-per-second", "7")
    assert list(made) == ["id", "name", "signing_secret"]
    await run.good("tenants", "set", "shop", "--weight", "2", "--max-queued", "9", "--max-endpoints", "1")
    assert "Disabled tenant shop." in await run.good("tenants", "disable", "shop")
    await run.good("tenants", "disable", made["id"])
    shown = await run.decoded("tenants", "show", "shop")
    assert shown["disabled_at"] is not None
    limits = ("weight", "max_queued", "max_endpoints", "max_keys", "requests_per_second", "max_in_flight")
    assert [shown[limit] for limit in limits] == [2, 9, 1, 3, 7, 1000]
    assert shown["in_use"] == {"in_flight": 0, "queued": 0, "endpoints": 0, "keys": 0}
    await run.good("tenants", "enable", "shop")
    printed = await run.good("tenants", "show", "shop")
    assert ("disabled" in printed, "requests per second  7" in printed) == (False, True)

    assert await entries(run) == [
        ("shop", "tenant.created", {"name": "shop", "max_keys": 3, "requests_per_second": 7}),
        ("shop", "tenant.changed", {"max_queued": 9, "max_endpoints": 1, "weight": 2}),
        ("shop", "tenant.disabled", {}),
        ("shop", "tenant.enabled", {}),
    ]
    assert made["signing_secret"] not in await run.good("audit")


async def test_a_name_with_blanks_at_its_ends_is_none(run: Command) -> None:
    refused = await run("tenants", "create", "shop ")
    assert (refused.exit_code, "/name" in refused.stderr) == (1, True)


async def test_a_token_comes_from_standard_input_and_is_never_shown(run: Command, database: Database) -> None:
    await run.decoded("tenants", "create", "shop")
    before = (await run.decoded("tenants", "show", "shop"))["token_max_in_flight"]
    first = await run.good("tenants", "set-token", "shop", "--max-in-flight", "5", told="first-secret\n")
    second = await run.good("tenants", "set-token", "shop", told="second-secret")
    assert before is None
    async with database.transaction() as connection:
        [own] = await tokens.own(connection)
    assert Vault.from_text(KEY).open(own.sealed, row=own.id) == b"second-secret"
    printed = await run.good("tenants", "show", "shop")
    assert "token max in flight  5" in printed, "another token is no other limit"

    await run.good("tenants", "remove-token", "shop")
    await run.good("tenants", "remove-token", "shop")
    async with database.transaction() as connection:
        assert await tokens.own(connection) == []
    told = await entries(run, "--tenant", "shop")
    assert told[1:] == [
        ("shop", "token.set", {"max_in_flight": 5}),
        ("shop", "token.rotated", {"max_in_flight": 5}),
        ("shop", "token.removed", {}),
    ]
    everything = first + second + printed + await run.good("audit")
    assert "first-secret" not in everything
    assert "second-secret" not in everything
    nothing = await run("tenants", "set-token", "shop", told="\n")
    assert nothing.exit_code == 2


async def test_keys_are_made_for_a_time_for_tests_and_for_operators(run: Command) -> None:
    await run.decoded("tenants", "create", "shop")
    short = await run.decoded("keys", "create", "shop", "--expires-in", "90m", "--name", "ci", "--test")
    until = await run.decoded("keys", "create", "shop", "--expires-at", "2100-01-31T18:00:00+01:00")
    admin = await run.decoded("keys", "create", "--admin", "--name", "me")
    assert (short["tenant"], short["mode"], short["key"][:8]) == ("shop", "test", "ej_test_")
    assert admin == {
        "id": admin["id"],
        "key": admin["key"],
        "tenant": None,
        "mode": "live",
        "scopes": ["admin"],
    }
    assert admin["key"].startswith("ej_admin_")
    assert all(keys.is_well_formed(made["key"]) for made in (short, until, admin))

    listed = {key["id"]: key for key in await run.decoded("keys", "list")}
    ends = read_moment(listed[short["id"]]["expires_at"])
    assert ends
    assert abs(ends - datetime.now(UTC) - timedelta(minutes=90)) < timedelta(minutes=5)
    assert listed[until["id"]]["expires_at"] == "2100-01-31T17:00:00Z"
    assert listed[admin["id"]]["tenant"] is None
    assert "(operator)" in await run.good("keys", "list")

    late = await run("keys", "create", "shop", "--expires-at", "2020-01-31T18:00:00Z")
    assert (late.exit_code, "in the future" in late.stderr) == (1, True)
    await run.good("keys", "revoke", short["id"])
    await run.good("keys", "revoke", short["id"])
    told = await entries(run)
    actions = [action for _, action, _ in told]
    assert actions == ["tenant.created", *["key.created"] * 3, "key.revoked"]
    noted = [entry["expires_at"] for _, action, entry in told if action == "key.created"]
    assert noted[1:] == ["2100-01-31T17:00:00.000000Z", None]
    assert read_moment(noted[0][:19] + "Z") == ends


async def test_keys_of_one_tenant_are_listed_alone(run: Command) -> None:
    for name in ("shop", "studio"):
        await run.decoded("tenants", "create", name)
    made = {name: await run.decoded("keys", "create", name) for name in ("shop", "studio")}
    listed = await run.decoded("keys", "list", "--tenant", "shop")
    assert [key["id"] for key in listed] == [made["shop"]["id"]]
    assert "There is no tenant nobody." in await run.refused("keys", "list", "--tenant", "nobody")


async def test_a_tenant_is_renamed(run: Command) -> None:
    made = await run.decoded("tenants", "create", "shop")
    await run.decoded("tenants", "create", "studio")
    await run.good("tenants", "set", "shop", "--name", "store")
    assert (await run.decoded("tenants", "show", "store"))["id"] == made["id"]
    assert (await entries(run))[-1] == ("store", "tenant.changed", {"name": "store"})
    assert "studio already" in await run.refused("tenants", "set", "store", "--name", "studio")
    assert "--name" in await run.refused("tenants", "set", "store")


async def test_a_tenant_has_no_more_live_keys_than_it_may(run: Command) -> None:
    await run.decoded("tenants", "create", "shop", "--max-keys", "1")
    first = await run.decoded("keys", "create", "shop")
    refused = await run("keys", "create", "shop")
    assert (refused.exit_code, "max_keys" in refused.stderr) == (1, True)
    await run.good("keys", "revoke", first["id"])
    await run.decoded("keys", "create", "shop")
