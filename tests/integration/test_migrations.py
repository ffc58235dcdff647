"""The schema that migrations make is the one the models describe."""

import asyncio
import sys
from pathlib import Path

import asyncpg
import pytest
from harness.command import Command
from sqlalchemy.ext.asyncio import create_async_engine

import service.jobs.models
import service.tenants.models
import service.webhooks.models  # noqa: F401
from service.database import Database, head, migrate, unmigrate
from service.database.base import Base
from service.dev.embedded import Postgres
from service.ids import uuid7
from service.jobs.job import Job
from service.jobs.store.table import JOBS

SCHEMA = """
SELECT 'column', c.table_name || '.' || c.column_name,
       concat_ws(' ', c.data_type, c.udt_name, c.is_nullable, c.column_default,
                 c.numeric_precision, c.numeric_scale)
FROM information_schema.columns c WHERE c.table_schema = 'public'
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'storage', relname, array_to_string(reloptions, ' ')
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""


async def schema(url: str) -> set[tuple[str, str, str]]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch(SCHEMA)
        return {tuple(row) for row in rows if "alembic_version" not in row[1]}
    finally:
        await connection.close()


async def test_migrations_make_exactly_what_the_models_say(
    database_url: str, empty_database_url: str
) -> None:
    engine = create_async_engine(empty_database_url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    assert await schema(database_url) == await schema(empty_database_url)


async def test_migrations_can_be_taken_back_and_made_again(database_url: str) -> None:
    before = await schema(database_url)
    await asyncio.to_thread(unmigrate, database_url)
    assert await schema(database_url) == set()
    await asyncio.to_thread(migrate, database_url)
    assert await schema(database_url) == before


@pytest.mark.usefixtures("template")  # the group is there, once somebody has migrated
async def test_who_owns_the_database_and_may_not_make_roles_migrates_there_and_back(
    postgres: Postgres, empty_database_url: str
) -> None:
    plain = f"plain_{uuid7().hex}"
    name = empty_database_url.partition("?")[0].rpartition("/")[2]
    owner = await asyncpg.connect(postgres.url("postgres").replace("+asyncpg", ""))
    await owner.execute(f"CREATE ROLE {plain} LOGIN")
    await owner.execute(f"ALTER DATABASE {name} OWNER TO {plain}")
    url = empty_database_url.replace("postgres@", f"{plain}@")
    for _ in range(2):
        await asyncio.to_thread(migrate, url)
        assert await schema(url)
        await asyncio.to_thread(unmigrate, url)
        assert await schema(url) == set()
    await owner.execute(f"ALTER DATABASE {name} OWNER TO postgres")
    await owner.execute(f"REASSIGN OWNED BY {plain} TO postgres")
    await owner.close()


@pytest.mark.usefixtures("logging_kept")
async def test_where_nobody_has_made_the_group_migrating_says_who_has_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str
) -> None:
    with Postgres(tmp_path / "postgres") as server:
        administrator = await asyncpg.connect(server.url("postgres").replace("+asyncpg", ""))
        await administrator.execute("CREATE ROLE plain LOGIN")
        await administrator.execute("CREATE DATABASE plain OWNER plain")
        run = Command(monkeypatch, database_url=server.url("plain", role="plain"), redis_url=redis_url)
        refused = await run("migrate")
        assert refused.exit_code == 1
        assert "CREATE ROLE edit_jobs_api NOLOGIN" in refused.stderr
        await administrator.execute("CREATE ROLE edit_jobs_api NOLOGIN")
        await run.good("migrate")
        await administrator.close()


async def test_several_processes_may_migrate_at_once(empty_database_url: str) -> None:
    code = "import sys; from service.database import migrate; migrate(sys.argv[1])"
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, empty_database_url) for _ in range(3)
    ]
    assert [await process.wait() for process in started] == [0, 0, 0]
    database = Database(empty_database_url)
    async with database.driver() as driver:
        assert await driver.fetchval("SELECT version_num FROM alembic_version") == head()
    await database.close()


def test_a_job_has_the_columns_of_its_table_in_their_order() -> None:
    assert list(Job.__slots__) == [column.name for column in JOBS.c]


ENDED = "status = 'cancelled', finished_at = now()"
COMPLETED = "status = 'completed', finished_at = now(), output = '{}'"
EMPTIED = "input = '{}'"

IMPOSSIBLE = [
    ("an end without its time", "status = 'cancelled'"),
    ("a time of an end that is none", "finished_at = now()"),
    ("an owner without a lease", "owner = 'w'"),
    (
        "an ended job that is owned",
        "status = 'cancelled', finished_at = now(), owner = 'w', lease_until = now()",
    ),
    ("a submit without an intent", "status = 'submitting'"),
    ("a place upstream without an id", "status = 'in_queue', intent_at = now(), submitted_at = now()"),
    ("success without an output", "status = 'completed', finished_at = now()"),
    ("an output without success", "output = '{}'"),
    ("failure without an error", "status = 'failed', finished_at = now()"),
    ("a wait that is over", "waiting_for = 'backoff', status = 'cancelled', finished_at = now()"),
    ("a wish without an outcome", "cancel_requested_at = now()"),
    ("a pending wish that nobody will bring", "cancel_requested_at = now(), cancel_outcome = 'pending'"),
    ("a state that is none", "status = 'lost'"),
    ("a place in a queue it is not in", "queue_position = 3"),
    ("a tombstone of a job that lives", f"{EMPTIED}, deleted_at = now()"),
    ("a tombstone with an input", f"{ENDED}, deleted_at = now()"),
    ("a tombstone with an output", f"{COMPLETED}, {EMPTIED}, deleted_at = now()"),
    ("a tombstone with a URL", f"{ENDED}, {EMPTIED}, deleted_at = now(), callback_url = 'https://a.example/'"),
]  # fmt: skip


@pytest.mark.parametrize("change", [change for _, change in IMPOSSIBLE], ids=[name for name, _ in IMPOSSIBLE])
async def test_postgres_refuses_a_row_that_cannot_be(
    change: str, database: Database, accepted: object
) -> None:
    await accepted()  # type: ignore[operator]
    async with database.driver() as driver:
        with pytest.raises(asyncpg.CheckViolationError):
            await driver.execute(f"UPDATE jobs SET {change}")
