"""What was sent of a job: its deliveries with every attempt of each."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table

from service.database import Connection
from service.tenants.tenant import Tenant
from service.webhooks.models import AttemptRow
from service.webhooks.store import DELIVERIES, EVENTS

ATTEMPTS = cast("Table", AttemptRow.__table__)


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt as it was logged."""

    number: int
    at: datetime
    status_code: int | None
    latency_ms: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one URL."""

    id: UUID
    event_id: UUID
    type: str
    url: str
    status: str
    reason: str | None
    due_at: datetime
    created_at: datetime
    finished_at: datetime | None
    attempts: tuple[Tried, ...]


async def of_job(connection: Connection, tenant: Tenant, job_id: UUID) -> list[Delivery]:
    """The deliveries of the tenant's job, oldest first."""
    seen, tried = DELIVERIES.c, ATTEMPTS.c
    query = tenant.rows(
        EVENTS,
        *(seen.id, seen.event_id, EVENTS.c.type, seen.url, seen.status, seen.reason, seen.due_at),
        *(seen.created_at, seen.finished_at),
        *(tried.number, tried.at, tried.status_code, tried.latency_ms, tried.error),
    )
    query = query.join(DELIVERIES, seen.event_id == EVENTS.c.id)
    query = query.outerjoin(ATTEMPTS, tried.delivery_id == seen.id)
    query = query.where(EVENTS.c.job_id == job_id).order_by(seen.id, tried.number)
    rows = await connection.execute(query)
    return [_delivery(list(group)) for _, group in groupby(rows, key=lambda row: row.id)]


def _delivery(rows: list[Row[Any]]) -> Delivery:
    """Of the rows of its attempts, or of the one row without an attempt."""
    row = rows[0]
    return Delivery(
        id=row.id,
        event_id=row.event_id,
        type=row.type,
        url=row.url,
        status=row.status,
        reason=row.reason,
        due_at=row.due_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
        attempts=tuple(
            Tried(
                number=row.number,
                at=row.at,
                status_code=row.status_code,
                latency_ms=row.latency_ms,
                error=row.error,
            )
            for row in rows
            if row.number is not None
        ),
    )
