"""What was sent and what is to be sent, newest first: for the tenant whose it is.

A page costs what is on it, however much is stored: it is read along an index that ends in the id, for each
status by itself, since an index that begins with the status is in the order of ids only within each.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Select, Table, select, text, union_all

from service.clock import moment
from service.database import Connection, Database
from service.errors import NotFoundError
from service.tenants.tenant import Tenant
from service.webhooks.models import DELIVERY_STATUSES, AttemptRow
from service.webhooks.store import DELIVERIES, EVENTS

ATTEMPTS = cast("Table", AttemptRow.__table__)

# A plan made for any value may go through all that is the tenant's to find the little that is one endpoint's.
_PLAN_FOR_THESE_VALUES = text("SET LOCAL plan_cache_mode = force_custom_plan")

SHOWN = (
    "id", "event_id", "job_id", "endpoint_id", "url", "status", "reason", "attempts", "due_at", "created_at",
    "finished_at", "mode",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which deliveries to list; what is None or empty does not matter."""

    job_id: UUID | None = None
    endpoint_id: UUID | None = None
    statuses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt as it was logged; `response` is the beginning of the answer."""

    number: int
    at: datetime
    status_code: int | None
    latency_ms: int
    error: str | None
    response: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one URL."""

    id: UUID
    event_id: UUID
    job_id: UUID | None
    endpoint_id: UUID | None
    url: str
    status: str
    reason: str | None
    attempts: int
    due_at: datetime
    created_at: datetime
    finished_at: datetime | None
    mode: str
    type: str


async def page(
    database: Database, tenant: Tenant, wanted: Filter, *, before: UUID | None, limit: int
) -> list[Delivery]:
    """The newest of those that are wanted, of those older than `before`."""
    async with database.of_tenant_at_length(tenant.id) as connection:
        await connection.execute(_PLAN_FOR_THESE_VALUES)
        rows = await connection.execute(query(tenant, wanted, before=before, limit=limit))
        return [_delivery(row) for row in rows]


async def one(database: Database, tenant: Tenant, delivery_id: UUID) -> tuple[Delivery, list[Tried]]:
    """A delivery with every attempt of it, oldest first; raises NotFoundError."""
    async with database.of_tenant(tenant.id) as connection:
        delivery = await found(connection, tenant, delivery_id)
        return delivery, (await _tried(connection, tenant, [delivery_id]))[delivery_id]


async def of_job(connection: Connection, tenant: Tenant, job_id: UUID) -> list[tuple[Delivery, list[Tried]]]:
    """All that was sent of the tenant's job, oldest first: each delivery with every attempt of it."""
    chosen = tenant.rows(DELIVERIES, DELIVERIES.c.id).where(DELIVERIES.c.job_id == job_id)
    deliveries = [_delivery(row) for row in await connection.execute(_shown(tenant, chosen))]
    tried = await _tried(connection, tenant, [delivery.id for delivery in deliveries])
    return [(delivery, tried[delivery.id]) for delivery in reversed(deliveries)]


async def found(connection: Connection, tenant: Tenant, delivery_id: UUID) -> Delivery:
    """For whoever has a transaction."""
    chosen = tenant.rows(DELIVERIES, DELIVERIES.c.id).where(DELIVERIES.c.id == delivery_id)
    row = (await connection.execute(_shown(tenant, chosen))).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no webhook delivery {delivery_id}.")
    return _delivery(row)


def query(tenant: Tenant, wanted: Filter, *, before: UUID | None, limit: int) -> Select[Any]:
    """The statement of a page, whose plans are pinned by tests."""
    some = tenant.rows(DELIVERIES, DELIVERIES.c.id).order_by(DELIVERIES.c.id.desc()).limit(limit)
    if before is not None:
        some = some.where(DELIVERIES.c.id < before)
    if wanted.endpoint_id is not None:
        some = some.where(DELIVERIES.c.endpoint_id == wanted.endpoint_id)
    if wanted.job_id is not None:
        # There are few of a job.
        some = some.where(DELIVERIES.c.job_id == wanted.job_id)
        if wanted.statuses:
            some = some.where(DELIVERIES.c.status.in_(sorted(wanted.statuses)))
        return _shown(tenant, some)
    statuses = sorted(wanted.statuses or DELIVERY_STATUSES)
    each = [some.where(DELIVERIES.c.status == status).subquery() for status in statuses]
    together = union_all(*(select(one) for one in each)).subquery()
    return _shown(tenant, select(together).order_by(together.c.id.desc()).limit(limit))


def document(delivery: Delivery) -> dict[str, Any]:
    """As it is answered in a list."""
    return {
        "id": str(delivery.id),
        "event_id": str(delivery.event_id),
        "type": delivery.type,
        "job_id": delivery.job_id and str(delivery.job_id),
        "endpoint_id": delivery.endpoint_id and str(delivery.endpoint_id),
        "url": delivery.url,
        "status": delivery.status,
        "reason": delivery.reason,
        "attempt_count": delivery.attempts,
        "next_attempt_at": moment(delivery.due_at) if delivery.status == "pending" else None,
        "created_at": moment(delivery.created_at),
        "finished_at": moment(delivery.finished_at),
        "mode": delivery.mode,
    }


def attempt(tried: Tried) -> dict[str, Any]:
    """As it is answered with its delivery. What is not UTF-8 in an answer is shown as U+FFFD."""
    return {
        "number": tried.number,
        "at": moment(tried.at),
        "status_code": tried.status_code,
        "latency_ms": tried.latency_ms,
        "error": tried.error,
        "response": tried.response.decode(errors="replace"),
    }


async def _tried(
    connection: Connection, tenant: Tenant, delivery_ids: Sequence[UUID]
) -> Mapping[UUID, list[Tried]]:
    """The attempts of these deliveries, oldest first."""
    seen = ATTEMPTS.c
    columns = (seen.number, seen.at, seen.status_code, seen.latency_ms, seen.error, seen.response)
    query = tenant.rows(ATTEMPTS, seen.delivery_id, *columns).where(seen.delivery_id.in_(delivery_ids))
    found: dict[UUID, list[Tried]] = defaultdict(list)
    for delivery_id, *row in await connection.execute(query.order_by(seen.number)):
        found[delivery_id].append(Tried(*row))
    return found


def _shown(tenant: Tenant, ids: Select[Any]) -> Select[Any]:
    """These deliveries, newest first, each with the type of its event."""
    chosen = ids.subquery()
    columns = [DELIVERIES.c[name] for name in SHOWN]
    rows = tenant.rows(DELIVERIES, *columns, EVENTS.c.type)
    rows = rows.join(chosen, chosen.c.id == DELIVERIES.c.id)
    rows = rows.join(EVENTS, EVENTS.c.id == DELIVERIES.c.event_id)
    return rows.order_by(DELIVERIES.c.id.desc())


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**row._mapping)
