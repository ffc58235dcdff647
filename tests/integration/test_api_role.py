"""How the API gets a role of its own, and who says so when it has none."""

import re
from pathlib import Path

import asyncpg
import pytest
from harness.command import Command
from structlog.testing import capture_logs

from service.api import wall
from service.database import Database
from service.database.api_role import GROUP, admit
from service.dev.embedded import Postgres
from service.ids import uuid7


async def test_the_apis_role_is_made_once_with_its_password_which_no_log_sees(
    database_url: str, database: Database
) -> None:
    role = f"made_{uuid7().hex}"
    url = database_url.replace("postgres@", f"{role}:it's secret%21@")
    assert await admit(database_url, url)
    async with database.driver() as driver:
        stored = await driver.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = $1", role)
    assert stored.startswith("SCRAM-SHA-256$")

    # A password that was changed there stays, and a membership that was taken away comes back.
    async with database.driver() as driver:
        await driver.execute(f"REVOKE {GROUP} FROM {role}")
    assert await admit(database_url, url)
    async with database.driver() as driver:
        assert await driver.fetchval("SELECT pg_has_role($1, $2, 'MEMBER')", role, GROUP)
        again = await driver.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = $1", role)
        assert again == stored
        await driver.execute(f"DROP ROLE {role}")
    assert not await admit(database_url, database_url), "the owner is not walled in"


@pytest.mark.usefixtures("logging_kept")
async def test_migrating_makes_the_user_that_the_apis_url_names(
    monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str, database: Database
) -> None:
    role = f"made_{uuid7().hex}"
    run = Command(monkeypatch, database_url=database_url, redis_url=redis_url)
    assert "may connect" not in await run.good("migrate")
    monkeypatch.setenv("EDIT_JOBS_API_DATABASE_URL", database_url.replace("postgres@", f"{role}:secret@"))
    for _ in range(2):
        printed = await run.good("migrate")
        assert (f"The API may connect as {role}." in printed, "secret" in printed) == (True, False)
    async with database.driver() as driver:
        assert await driver.fetchval("SELECT pg_has_role($1, $2, 'MEMBER')", role, GROUP)
        await driver.execute(f"DROP ROLE {role}")


@pytest.mark.usefixtures("logging_kept")
async def test_who_may_not_make_roles_is_told_what_an_administrator_has_to_run(
    monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str, database: Database
) -> None:
    plain, there = f"plain_{uuid7().hex}", f"there_{uuid7().hex}"
    async with database.driver() as driver:
        await driver.execute(f"CREATE ROLE {there} LOGIN")
        await driver.execute(f"CREATE ROLE {plain} LOGIN")
        await driver.execute(f"GRANT SELECT ON alembic_version TO {plain}")
    run = Command(
        monkeypatch, database_url=database_url.replace("postgres@", f"{plain}@"), redis_url=redis_url
    )
    monkeypatch.setenv("EDIT_JOBS_API_DATABASE_URL", database_url.replace("postgres@", "web:secret@"))
    refused = await run("migrate")
    assert refused.exit_code == 1
    assert "  CREATE ROLE web LOGIN PASSWORD '...' IN ROLE edit_jobs_api;\n" in refused.stderr
    assert "secret" not in refused.output

    # What there is already is not to be made once more.
    monkeypatch.setenv("EDIT_JOBS_API_DATABASE_URL", database_url.replace("postgres@", f"{there}:secret@"))
    refused = await run("migrate")
    assert refused.exit_code == 1
    assert f"  GRANT edit_jobs_api TO {there};\n" in refused.stderr
    assert "secret" not in refused.output
    async with database.driver() as driver:
        await driver.execute(f"DROP OWNED BY {plain}")
        await driver.execute(f"DROP ROLE {plain}, {there}")


@pytest.mark.usefixtures("logging_kept")
async def test_a_plain_owner_migrates_an_empty_server_with_what_it_is_told_to_ask_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str
) -> None:
    with Postgres(tmp_path / "postgres") as postgres:
        administrator = await asyncpg.connect(postgres.url(scheme="postgresql"))
        await administrator.execute("CREATE ROLE plain LOGIN")
        await administrator.execute("CREATE DATABASE shop OWNER plain")
        owner = postgres.url(database="shop").replace("postgres@", "plain@")
        run = Command(monkeypatch, database_url=owner, redis_url=redis_url)
        monkeypatch.setenv("EDIT_JOBS_API_DATABASE_URL", owner.replace("plain@", "web:secret@"))
        for _ in range(2):
            refused = await run("migrate")
            assert refused.exit_code == 1
            asked = re.search(r"CREATE ROLE .*;", refused.stderr)
            assert asked, refused.stderr
            await administrator.execute(asked[0])
        assert "The API may connect as web." in await run.good("migrate")
        await administrator.close()


async def test_the_api_warns_when_its_role_is_behind_no_wall(
    database: Database, api_database_url: str
) -> None:
    api = Database(api_database_url, connections=1)
    with capture_logs() as logs:
        await wall.look(api)
        await wall.look(database)
    await api.close()
    assert [line["event"] for line in logs] == ["api.unwalled"]
