"""Real Postgres and Redis, one of each per test process, started by the first test that asks for one.

Sharing them between processes would save half a second each and let a test that restarts Postgres break the
others. Nothing needs to be tidied up after an interrupt: the servers die with the process that started them.
"""

import asyncio
import itertools
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import hypothesis
import pytest
import structlog
from redis.asyncio import Redis as Client

from service import telemetry
from service.database import migrate
from service.database.api_role import admit
from service.dev.embedded import Postgres, Redis
from service.dev.stack import API_ROLE

TEMPLATE = "template_migrated"
SHARED_MEMORY, ROOM = "/dev/shm", 2 << 30

# No clock and no luck: what was green once stays green until the code changes.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("tests")

# As in production: what structlog does by itself takes seconds for a traceback, and stops the event loop.
telemetry.configure(level="info", form="json")

_numbers = itertools.count(1)


@pytest.fixture
def logging_kept() -> Iterator[None]:
    """For tests in whose process a command says what is logged: what follows is logged as ever."""
    telemetry.log.bind()  # From its first use on it stays as it is configured then.
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**configured)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="edit-jobs-tests-", dir=_memory()) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def running_postgres(servers_folder: Path) -> Iterator[Postgres]:
    with Postgres(servers_folder / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def running_redis(servers_folder: Path) -> Iterator[Redis]:
    with Redis(servers_folder / "redis") as server:
        yield server


@pytest.fixture
def postgres(running_postgres: Postgres) -> Postgres:
    """Running, even if the test before has stopped or killed it; this one may, too."""
    running_postgres.start()
    return running_postgres


@pytest.fixture
def redis(running_redis: Redis) -> Redis:
    """Running, even if the test before has stopped or killed it; this one may, too."""
    running_redis.start()
    return running_redis


@pytest.fixture(scope="session")
async def template(running_postgres: Postgres) -> str:
    """The name of a database with today's schema, made once and copied for each test."""
    running_postgres.start()
    await _execute(running_postgres, f"CREATE DATABASE {TEMPLATE}")
    await asyncio.to_thread(migrate, running_postgres.url(TEMPLATE))
    await admit(running_postgres.url(TEMPLATE), running_postgres.url(TEMPLATE, role=API_ROLE))
    return TEMPLATE


@pytest.fixture
async def database_url(postgres: Postgres, template: str) -> AsyncIterator[str]:
    """A database of the test's own, migrated and empty."""
    name = f"test_{next(_numbers)}"
    # Copying files takes half as long as writing the copy to the log.
    await _execute(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield postgres.url(name)
    postgres.start()
    await _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def api_database_url(database_url: str) -> str:
    """The same as the API reaches it: behind the second wall."""
    return database_url.replace("postgres@", f"{API_ROLE}@")


@pytest.fixture
async def empty_database_url(postgres: Postgres) -> AsyncIterator[str]:
    """A database of the test's own without any schema, for tests of migrations."""
    name = f"test_{next(_numbers)}"
    await _execute(postgres, f"CREATE DATABASE {name} STRATEGY FILE_COPY")
    yield postgres.url(name)
    postgres.start()
    await _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def redis_url(redis: Redis) -> str:
    """A Redis with nothing in it."""
    async with Client.from_url(redis.url()) as client:
        await client.flushall()
    return redis.url()


def _memory() -> str | None:
    """A folder in memory, if there is one with room: a database is copied there in a fifth of the time."""
    try:
        return SHARED_MEMORY if shutil.disk_usage(SHARED_MEMORY).free > ROOM else None
    except OSError:
        return None


async def _execute(postgres: Postgres, statement: str) -> None:
    connection = await asyncpg.connect(postgres.url(scheme="postgresql"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
