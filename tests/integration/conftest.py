"""What several tests on real processes share."""

import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from harness.command import Command
from harness.deliveries import Clock, Hooks, Senders, listening
from harness.world import World, a_world

from service.database import Database
from service.encryption import Vault
from service.ids import uuid7
from service.jobs.job import Job
from service.jobs.request import Request
from service.jobs.store import reads
from service.jobs.store.accept import accept
from service.tenants.store import create
from service.tenants.tenant import Tenant
from service.webhooks import secrets

Accepting = Callable[..., Awaitable[Job]]


@pytest.fixture
def gone() -> Callable[[Path], bool]:
    """Says whether all who hold the lock on a pid file end within 5 s: the process and what it started."""

    def check(pid_file: Path) -> bool:
        deadline = time.monotonic() + 5
        with pid_file.open() as file:
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.01)
                else:
                    return True
        return False

    return check


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on a database of the test's own."""
    pool = Database(database_url, connections=8)
    yield pool
    await pool.close()


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    """A tenant as one of its live keys reaches it."""
    return await make_tenant(database, "acme")


@pytest.fixture
def another_tenant(database: Database) -> Callable[[str], Awaitable[Tenant]]:
    """Makes more tenants, by name."""
    return partial(make_tenant, database)


@pytest.fixture
def accepted(database: Database, tenant: Tenant) -> Accepting:
    """Accepts a job as the API does; arguments replace fields of its request."""

    async def accept_one(*, owner: Tenant = tenant, now: datetime | None = None, **fields: Any) -> Job:
        job_id = uuid7()
        request = Request(**{**PLAIN, **fields})
        async with database.driver() as driver:
            await accept(driver, owner, job_id, request, now=now)
        async with database.statement() as connection:
            job = await reads.find(connection, owner, job_id)
        assert job is not None
        return job

    return accept_one


PLAIN = {
    "model": "blackforestlabs/flux-2/dev/edit",
    "input": {"prompt": "make it night", "image_urls": ["https://pictures.example/samples/lake.png"]},
    "warnings": [],
    "callback_url": None,
    "callback_events": ["job.completed", "job.failed", "job.cancelled", "job.expired"],
    "external_id": None,
    "metadata": {},
    "priority": "normal",
    "expires_in": 3600,
    "on_unconfirmed": "fail",
}


async def make_tenant(database: Database, name: str) -> Tenant:
    async with database.transaction() as connection:
        return Tenant(id=await create(connection, name, actor="test"), mode="live")


@pytest.fixture
async def world(
    database_url: str, redis_url: str, database: Database, tenant: Tenant, accepted: Accepting
) -> AsyncIterator[World]:
    """An engine and all that is around it."""
    async with a_world(database_url, redis_url, database, tenant, accepted) as made:
        yield made


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> Command:
    """Runs `edit-jobs` on the test's own servers."""
    return Command(monkeypatch, database_url=database_url, redis_url=redis_url)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault() -> Vault:
    return Vault([os.urandom(32)])


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    async with listening() as receiver:
        yield receiver


@pytest.fixture
async def signed(database: Database, vault: Vault, tenant: Tenant) -> str:
    """The tenant's signing secret."""
    async with database.transaction() as connection:
        return await secrets.issue(connection, vault, tenant.id)


@pytest.fixture
def senders(database: Database, vault: Vault, tenant: Tenant, clock: Clock, signed: str) -> Senders:
    assert signed
    return Senders(database, vault, tenant, clock)
