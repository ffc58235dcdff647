"""The statement that accepts a job, as the API's role runs it behind row-level security."""

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from service.database import Database
from service.ids import uuid7
from service.jobs.request import Request
from service.jobs.store.accept import Once, accept
from service.tenants.tenant import Tenant

REQUEST = Request(
    model="blackforestlabs/flux-2/dev/edit",
    input={"prompt": "make it night", "image_urls": ["https://pictures.example/lake.png"]},
    warnings=[],
    callback_url=None,
    callback_events=["job.completed"],
    external_id=None,
    metadata={"team": "ads"},
    priority="normal",
    expires_in=3600,
    on_unconfirmed="fail",
)


@pytest.fixture
async def behind_the_wall(database: Database) -> Any:
    """A connection in the role whose rows are those of one tenant."""
    async with database.driver() as driver:
        await driver.execute("SET ROLE edit_jobs_api")
        yield driver
        await driver.execute("RESET ROLE")


async def test_it_names_its_tenant_by_itself(behind_the_wall: Any, tenant: Tenant) -> None:
    first, once = uuid7(), Once("order-17", b"f" * 32)

    assert await accept(behind_the_wall, tenant, first, REQUEST, now=None)
    assert await accept(behind_the_wall, tenant, uuid7(), REQUEST, now=None, once=once)
    assert await accept(behind_the_wall, tenant, uuid7(), REQUEST, now=None, once=once) is None
    assert await accept(behind_the_wall, tenant, uuid7(), REQUEST, now=None, retry_of=first)
    assert await accept(behind_the_wall, tenant, uuid7(), REQUEST, now=None, retry_of=first) is None

    assert await behind_the_wall.fetchval("SELECT count(*) FROM jobs") == 0, "and for itself alone"
    await behind_the_wall.execute("RESET ROLE")
    counts = [
        await behind_the_wall.fetchval(f"SELECT count(*) FROM {table}")
        for table in ("jobs", "job_events", "job_labels", "idempotency_keys")
    ]
    assert counts == [3, 3, 3, 1]


async def test_the_wall_refuses_a_row_of_another_tenant(behind_the_wall: Any, tenant: Tenant) -> None:
    """A statement that names one tenant and inserts for another is what the policies are there for."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await behind_the_wall.execute(
            "INSERT INTO idempotency_keys (tenant_id, mode, key, fingerprint, job_id) "
            "SELECT $1, 'live', 'a', '', $2 FROM set_config('app.tenant', $3, true)",
            tenant.id,
            uuid7(),
            str(uuid7()),
        )


async def test_what_postgres_refuses_leaves_the_connection_to_the_next(
    database: Database, tenant: Tenant
) -> None:
    async with database.driver() as driver:
        served = driver.get_server_pid()
    with pytest.raises(asyncpg.CheckViolationError):
        async with database.driver() as driver:
            await accept(driver, tenant, uuid7(), replace(REQUEST, on_unconfirmed="guess"), now=None)
    async with database.driver() as driver:
        assert driver.get_server_pid() == served
