"""What `edit-jobs doctor` finds on real servers."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest
from harness.world import KEY, World

from service.cli.checks import Finding, Health, examine
from service.database import Database
from service.database.api_role import admit
from service.dev.embedded import Redis
from service.encryption import Vault
from service.settings import Settings
from service.tenants import store, tokens
from service.tenants.models import PLATFORM_TOKEN_ID
from service.tenants.tenant import Tenant


async def examined(settings: Settings, **changed: Any) -> dict[str, Finding]:
    return {one.check: one for one in await examine(Settings(**settings.model_dump() | changed))}


async def test_all_is_well_where_all_is_there(world: World) -> None:
    found = await examined(world.settings)
    assert list(found) == [
        *("Postgres", "Postgres for the API", "schema", "SECRET_KEY", "account", "second wall"),
        *("Redis", "upstream", "PUBLIC_URL"),
    ]
    healths = {check: one.health for check, one in found.items()}
    # Nobody answers at the public URL of a test.
    assert healths == dict.fromkeys(found, Health.GOOD) | {"PUBLIC_URL": Health.ODD}
    assert "as role postgres" in found["Postgres"].found
    assert found["SECRET_KEY"].found == "opens all 1 stored secrets"
    assert (await world.stats())["calls"]["submit"] == 0


async def test_a_role_for_which_the_second_wall_is_down_is_told(world: World, database_url: str) -> None:
    for url in ("", database_url):
        found = (await examined(world.settings, api_database_url=url))["second wall"]
        assert (found.health, "role postgres owns the tables" in found.found) == (Health.ODD, True)
        assert found.todo.startswith("set EDIT_JOBS_API_DATABASE_URL")


async def test_a_role_that_was_not_let_in_is_told(
    world: World, database_url: str, database: Database
) -> None:
    async with database.driver() as driver:
        await driver.execute("CREATE ROLE outsider LOGIN")
    url = database_url.replace("postgres@", "outsider@")
    found = (await examined(world.settings, api_database_url=url))["second wall"]
    assert (found.health, found.todo) == (Health.BAD, "run edit-jobs migrate")
    await admit(database_url, url)
    assert (await examined(world.settings, api_database_url=url))["second wall"].health is Health.GOOD
    async with database.driver() as driver:
        await driver.execute("DROP ROLE outsider")


async def test_a_key_that_does_not_open_what_is_stored_is_told(world: World) -> None:
    found = await examined(world.settings, secret_key=base64.b64encode(bytes(32)).decode())
    assert found["SECRET_KEY"] == Finding(
        "SECRET_KEY",
        Health.BAD,
        "does not open 1 of 1 stored secrets",
        "add the key they were sealed with to EDIT_JOBS_SECRET_KEY, after a comma",
    )


async def test_tables_that_are_missing_or_old_or_newer_are_told(
    world: World, empty_database_url: str, database: Database
) -> None:
    found = await examined(world.settings, database_url=empty_database_url)
    assert (found["schema"].health, found["schema"].todo) == (Health.BAD, "run edit-jobs migrate")
    assert found["schema"].found.startswith("is missing")
    assert "SECRET_KEY" not in found
    for version, health in (("0000", Health.BAD), ("9999", Health.ODD)):
        async with database.driver() as driver:
            await driver.execute("UPDATE alembic_version SET version_num = $1", version)
        assert (await examined(world.settings))["schema"].health is health


@pytest.mark.parametrize(
    ("faults", "health", "words"),
    [
        ({"tokens": ["another"]}, Health.BAD, "turns the token away"),
        ({"down": True}, Health.BAD, "cannot be reached"),
    ],
)
async def test_an_upstream_that_does_not_want_us_is_told(
    world: World, faults: dict[str, Any], health: Health, words: str
) -> None:
    await world.fault(**faults)
    found = (await examined(world.settings))["upstream"]
    assert (found.health, words in found.found) == (health, True), found


async def test_what_workers_have_found_of_the_account_is_told(
    world: World, database: Database, tenant: Tenant
) -> None:
    async with database.transaction() as connection:
        own = await tokens.put(connection, Vault.from_text(KEY), tenant.id, token="t", max_in_flight=1)
        await tokens.report(connection, own, trouble="the token was revoked")
        name = (await store.one(connection, tenant.id)).name
    found = (await examined(world.settings))["account"]
    assert found.found.startswith(f"that of the tenant {name} is turned away"), found
    async with database.statement() as connection:
        await tokens.report(connection, PLATFORM_TOKEN_ID, trouble="no balance")
    found = (await examined(world.settings))["account"]
    assert (found.health, found.found.endswith(": no balance")) == (Health.BAD, True)
    assert found.found.startswith("the platform's is turned away"), "the one that most depends on comes first"


async def test_a_token_that_is_not_set_is_told(world: World) -> None:
    assert (await examined(world.settings, upstream_token=""))["upstream"].found == "there is no token"


async def test_what_is_not_an_api_is_told(world: World) -> None:
    found = await examined(world.settings, upstream_url=world.hook.removesuffix("/hook"))
    assert found["upstream"].health is Health.BAD
    assert "EDIT_JOBS_UPSTREAM_URL" in found["upstream"].todo


async def test_servers_that_are_away_are_told_one_by_one(world: World, redis: Redis) -> None:
    away = "postgresql://operator:hunter2@127.0.0.1:1/jobs"
    await asyncio.to_thread(redis.stop)
    found = await examined(world.settings, api_database_url=away)
    assert found["Postgres"].health is Health.GOOD
    assert found["Postgres for the API"].health is Health.BAD
    assert found["Postgres for the API"].todo == "check EDIT_JOBS_API_DATABASE_URL, and that it runs"
    assert found["Redis"].health is Health.BAD
    assert "hunter2" not in str(found)
    everywhere = await examined(world.settings, database_url=away)
    assert replace(everywhere["Postgres"], found="") == Finding(
        "Postgres", Health.BAD, "", "check EDIT_JOBS_DATABASE_URL, and that it runs"
    )
    assert "schema" not in everywhere
