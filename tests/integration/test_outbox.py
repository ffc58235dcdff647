from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from service.database import Connection, Database
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks import outbox, store
from service.webhooks.outbox import Event

URL = "https://Receiver.example:8443/hooks?token=1"


def an_end(tenant: Tenant, **fields: Any) -> Event:
    usual = {
        "id": uuid7(),
        "tenant_id": tenant.id,
        "mode": tenant.mode,
        "job_id": uuid7(),
        "type": "job.completed",
        "is_end": True,
        "sequence": 5,
        "body": b'{"type": "job.completed"}',
    }
    return Event(**(usual | fields))


async def rows(connection: Connection, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in (await connection.execute(text(query))).mappings()]


async def test_an_event_is_recorded_with_a_delivery_to_the_jobs_own_url(
    database: Database, tenant: Tenant
) -> None:
    event, now = an_end(tenant), datetime(2026, 1, 1, tzinfo=UTC)
    async with database.transaction() as connection:
        await outbox.record(connection, event, URL, now=now)
    async with database.statement() as connection:
        (stored,) = await rows(connection, "SELECT * FROM events")
        deliveries = await rows(connection, "SELECT * FROM webhook_deliveries ORDER BY id")
    fields = {name: getattr(event, name) for name in Event.__slots__}
    assert stored == fields | {"created_at": now, "position": None}
    (way,) = deliveries
    expected = {
        "url": URL,
        "origin": "https://receiver.example:8443",
        "status": "pending",
        "attempts": 0,
        "due_at": now,
        "gives_up_at": now + timedelta(days=4),
        "job_id": event.job_id,
        "mode": "live",
        "endpoint_id": None,
    }
    assert {name: way[name] for name in expected} == expected


async def test_an_event_that_goes_nowhere_is_recorded_all_the_same(
    database: Database, tenant: Tenant
) -> None:
    async with database.transaction() as connection:
        await outbox.record(connection, an_end(tenant), None, now=None)
    async with database.statement() as connection:
        assert len(await rows(connection, "SELECT id FROM events")) == 1
        assert await rows(connection, "SELECT id FROM webhook_deliveries") == []


async def test_a_transaction_that_is_rolled_back_leaves_nothing_to_tell(
    database: Database, tenant: Tenant
) -> None:
    async def an_end_that_fails() -> None:
        async with database.transaction() as connection:
            await outbox.record(connection, an_end(tenant), URL, now=None)
            raise RuntimeError("the end was not committed")

    with pytest.raises(RuntimeError):
        await an_end_that_fails()
    async with database.statement() as connection:
        assert await rows(connection, "SELECT id FROM events") == []
        assert await rows(connection, "SELECT id FROM webhook_deliveries") == []


async def test_the_database_refuses_a_second_end_of_one_job(database: Database, tenant: Tenant) -> None:
    job_id = uuid7()

    async def tell(sequence: int) -> None:
        async with database.transaction() as connection:
            await outbox.record(connection, an_end(tenant, job_id=job_id, sequence=sequence), URL, now=None)

    await tell(5)
    with pytest.raises(IntegrityError, match="uq_events_end"):
        await tell(6)


async def test_jobs_show_how_their_ends_are_told_and_nothing_else(
    database: Database, tenant: Tenant, another_tenant: Callable[[str], Any]
) -> None:
    stranger = await another_tenant("umbrella")
    told, untold, theirs = an_end(tenant), an_end(tenant), an_end(stranger)
    started = an_end(tenant, job_id=told.job_id, type="job.in_progress", is_end=False, sequence=4)
    async with database.transaction() as connection:
        await outbox.record(connection, started, "https://elsewhere.example", now=None)
        await outbox.record(connection, told, URL, now=None)
        await outbox.record(connection, untold, None, now=None)
        await outbox.record(connection, theirs, URL, now=None)
    asked: dict[UUID, str] = dict.fromkeys([told.job_id, untold.job_id, theirs.job_id, uuid7()], URL)
    async with database.statement() as connection:
        assert await store.of_jobs(connection, tenant, asked) == {
            told.job_id: store.Progress(URL, "pending", 0)
        }
        in_test_mode = Tenant(id=tenant.id, mode="test")
        assert await store.of_jobs(connection, in_test_mode, asked) == {}
