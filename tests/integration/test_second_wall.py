"""The second wall: what the API's role sees and does when the first one, the query, has a hole."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from harness.estate import TENANTS_TABLES, dump, furnish
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.database import Database
from service.database.api_role import GROUP, is_member, is_walled
from service.database.base import Base
from service.database.migrations import FOLDER
from service.ids import uuid7
from service.tenants.tenant import Tenant

config = Config()
config.set_main_option("script_location", str(FOLDER))
WALL: Any = ScriptDirectory.from_config(config).get_revision("0002").module
UNREADABLE = {"upstream_tokens": "sealed", "api_keys": "hash"}
OPERATORS_OWN = {"audit_log"}
"""What a tenant's transaction writes and does not read."""

Another = Callable[[str], Awaitable[Tenant]]


@pytest.fixture
async def api(api_database_url: str) -> AsyncIterator[Database]:
    """What the API has."""
    pool = Database(api_database_url, connections=2)
    yield pool
    await pool.close()


def owner_of(table: str) -> str:
    return "id" if table == "tenants" else "tenant_id"


async def owners(connection: Any, table: str) -> set[UUID]:
    """Whose rows a query finds that forgot to say whose it wants."""
    rows = await connection.execute(text(f"SELECT DISTINCT {owner_of(table)} FROM {table}"))
    return {row[0] for row in rows}


async def test_a_query_without_a_tenant_finds_only_the_rows_of_the_transactions_tenant(
    database: Database, api: Database, tenant: Tenant, another_tenant: Another
) -> None:
    other = await another_tenant("other")
    for each in (tenant, other):
        await furnish(database, each)
    for table in TENANTS_TABLES:
        async with database.transaction() as connection:
            assert {tenant.id, other.id} <= await owners(connection, table), "there is nothing to be hidden"
        for each in (tenant, other):
            async with api.of_tenant(each.id) as connection:
                expected = set() if table in OPERATORS_OWN else {each.id}
                assert await owners(connection, table) == expected, table
        # Without one, also after a transaction that had one on the same connection, there is nothing at all.
        async with api.transaction() as connection:
            assert await owners(connection, table) == set(), table


async def test_a_change_without_a_tenant_touches_only_the_rows_of_the_transactions_tenant(
    database: Database, api: Database, tenant: Tenant, another_tenant: Another
) -> None:
    other = await another_tenant("other")
    await furnish(database, other)
    before = await dump(database)
    async with database.driver() as driver:
        columns = await driver.fetch(
            "SELECT DISTINCT table_name, privilege_type, column_name"
            " FROM information_schema.column_privileges"
            " WHERE grantee = $1 AND privilege_type IN ('UPDATE')",
            GROUP,
        )
        removable = await driver.fetch(
            "SELECT table_name FROM information_schema.table_privileges"
            " WHERE grantee = $1 AND privilege_type = 'DELETE'",
            GROUP,
        )
    changes = [f"UPDATE {table} SET {column} = {column}" for table, _, column in columns]
    changes += [f"DELETE FROM {table}" for (table,) in removable]
    assert len(changes) > 50

    for change in changes:
        async with api.of_tenant(tenant.id) as connection:
            try:
                async with connection.begin_nested():
                    changed = (await connection.execute(text(change))).rowcount
            except DBAPIError as error:
                # To set a column to itself one has to read it.
                if "permission denied" in str(error) and change.endswith(tuple(UNREADABLE.values())):
                    continue
                raise
        # The tenant itself is one row of its own, which only operators change.
        assert changed == 0, change

    assert await dump(database) == before


async def test_a_row_of_another_tenant_cannot_be_written(
    database: Database, api: Database, tenant: Tenant, another_tenant: Another
) -> None:
    other = await another_tenant("other")
    mine, theirs = await furnish(database, tenant), await furnish(database, other)
    before = await dump(database)
    for table in sorted(set(TENANTS_TABLES) - {"tenants", "usage_days", "upstream_tokens"}):
        columns = [column.name for column in Base.metadata.tables[table].c]
        # A copy of a row of ours, given to another.
        copied = [
            f"'{other.id}'" if name == "tenant_id" else f"'{uuid7()}'" if name == "id" else name
            for name in columns
            if name not in ("hash", "sealed")
        ]
        names = ", ".join(name for name in columns if name not in ("hash", "sealed"))
        given = f"INSERT INTO {table} ({names}) SELECT {', '.join(copied)} FROM {table}"
        if table in OPERATORS_OWN:
            given = (
                f"INSERT INTO {table} (id, tenant_id, actor, action, data)"
                f" VALUES ('{uuid7()}', '{other.id}', 'me', 'x', '{{}}')"
            )
        with pytest.raises(DBAPIError) as refused:
            async with api.of_tenant(tenant.id) as connection:
                await connection.execute(text(given))
        assert "row-level security" in str(refused.value), table
    account = "INSERT INTO upstream_tokens (id, tenant_id, sealed, max_in_flight)"
    for given in (
        f"UPDATE jobs SET tenant_id = '{other.id}' WHERE id = '{mine.job}'",
        f"INSERT INTO tenants (id, name) VALUES ('{uuid7()}', 'mine')",
        f"{account} VALUES ('{uuid7()}', '{tenant.id}', 'x', 1)",
    ):
        with pytest.raises(DBAPIError) as refused:
            async with api.of_tenant(tenant.id) as connection:
                await connection.execute(text(given))
        assert "row-level security" in str(refused.value), given
    async with api.of_tenant(tenant.id) as connection:
        raised = await connection.execute(text("UPDATE tenants SET max_in_flight = 1000000"))
        assert raised.rowcount == 0
    assert theirs.job
    assert await dump(database) == before


async def test_an_operator_sees_all_tenants_and_keys_and_none_of_their_jobs(
    database: Database, api: Database, tenant: Tenant, another_tenant: Another
) -> None:
    other = await another_tenant("other")
    for each in (tenant, other):
        await furnish(database, each)
    async with api.of_operator() as connection:
        for table in TENANTS_TABLES:
            seen = await owners(connection, table)
            everybody = {tenant.id, other.id} if table in WALL.GRANTED_TO_OPERATORS else set()
            assert seen - {None} == everybody, table
    async with api.of_operator(other.id) as connection:
        assert await owners(connection, "jobs") == {other.id}


@pytest.mark.parametrize("table", sorted(UNREADABLE))
async def test_the_api_does_not_read_what_it_only_has_to_store(api: Database, table: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with api.of_operator() as connection:
            await connection.execute(text(f"SELECT {UNREADABLE[table]} FROM {table}"))


async def test_every_table_with_rows_of_tenants_is_walled_and_only_what_is_listed_is_granted(
    database: Database,
) -> None:
    async with database.driver() as driver:
        walled = {row[0] for row in await driver.fetch(
            "SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid WHERE relrowsecurity"
        )}  # fmt: skip
        granted = await driver.fetch(
            """
            SELECT table_name, privilege_type, NULL FROM information_schema.table_privileges
            WHERE grantee IN ($1, 'PUBLIC') AND table_schema = 'public'
            UNION
            SELECT c.table_name, c.privilege_type, c.column_name
            FROM information_schema.column_privileges AS c
            WHERE grantee IN ($1, 'PUBLIC') AND table_schema = 'public' AND NOT EXISTS (
                SELECT FROM information_schema.table_privileges AS t WHERE t.grantee = c.grantee
                AND t.table_name = c.table_name AND t.privilege_type = c.privilege_type)
            """,
            GROUP,
        )
        functions = await driver.fetch(
            "SELECT proname, proconfig, has_function_privilege($1, oid, 'EXECUTE'),"
            " has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace AND prosecdef",
            GROUP,
        )
    assert walled == set(TENANTS_TABLES)

    listed = dict(WALL.GRANTED)
    listed |= {table: privileges for table, (privileges, _) in WALL.GRANTED_TO_OPERATORS.items()}
    listed |= WALL.GRANTED_TO_ALL
    found: dict[str, dict[str, set[str]]] = {}
    for name, privilege, column in granted:
        found.setdefault(name, {}).setdefault(privilege, set()).update({column} - {None})
    assert found == {table: privileges_of(words) for table, words in listed.items()}

    assert {row[0] for row in functions} == {signature.partition("(")[0] for signature in WALL.FUNCTIONS}
    assert {tuple(row[1]) + row[2:] for row in map(tuple, functions)} == {('search_path=""', True, False)}


def privileges_of(words: str) -> dict[str, set[str]]:
    """`SELECT (a, b), INSERT` as privileges and the columns they are for, none for all."""
    found = {}
    for part in words.replace(")", "").replace(", ", ",").replace(" (", "(").split(","):
        name, opened, column = part.strip().partition("(")
        if name.isupper():
            found[name] = {column} if opened else set()
            last = name
        else:
            found[last].add(name)
    return found


async def test_the_wall_is_there_for_the_apis_role_and_not_for_the_owner(
    database: Database, api: Database
) -> None:
    async with database.statement() as owner, api.statement() as role:
        assert (await is_walled(owner), await is_walled(role)) == (False, True)
        assert await is_member(role)


async def test_the_audit_log_only_grows_whoever_asks(database: Database, tenant: Tenant) -> None:
    await furnish(database, tenant)
    async with database.driver() as driver:
        for change in ("UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
            for replica in ("origin", "replica"):
                await driver.execute(f"SET session_replication_role = {replica}")
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
                    await driver.execute(change)
        await driver.execute("RESET session_replication_role")
        # That it was made, and what it was furnished with.
        assert await driver.fetchval("SELECT count(*) FROM audit_log") == 2
