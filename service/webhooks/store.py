"""Deliveries in Postgres: the right to make an attempt, and what came of it.

As with jobs, a claim writes owner, lease and a new epoch, and every later write is guarded by that epoch.
Due times are compared with `:now`, leases run on `clock_timestamp()`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, text
from sqlalchemy.dialects.postgresql import BYTEA

from service.database import AnyConnection, Connection
from service.tenants.tenant import Tenant
from service.webhooks.models import DeliveryRow, EventRow
from service.webhooks.schedule import Delivered, Exhausted, Retry, Verdict

DELIVERIES = cast("Table", DeliveryRow.__table__)
EVENTS = cast("Table", EventRow.__table__)

NOW = "coalesce(CAST(:now AS timestamptz), clock_timestamp())"
"""The time that due times are compared with: Postgres's, or a test's."""

_NOBODYS = "owner = NULL, lease_until = NULL"

# From lane to lane along the index, at one probe each, however many deliveries wait in them; then the
# first due ones of every lane that has one, as many as the lane may still have, oldest first over all.
# The time is read once: a function that is called for each row would be no condition for the index, and
# all that waits for its next attempt would be read.
_CLAIM = text(
    f"""
    WITH RECURSIVE clock AS MATERIALIZED (
        SELECT {NOW} AS now
    ), lanes AS (
        (SELECT tenant_id, origin, due_at FROM webhook_deliveries WHERE status = 'pending'
         ORDER BY tenant_id, origin, due_at LIMIT 1)
        UNION ALL
        SELECT next.* FROM lanes CROSS JOIN LATERAL (
            SELECT tenant_id, origin, due_at FROM webhook_deliveries
            WHERE status = 'pending' AND (tenant_id, origin) > (lanes.tenant_id, lanes.origin)
            ORDER BY tenant_id, origin, due_at LIMIT 1
        ) AS next
    ), due AS (
        SELECT waiting.id, clock.now FROM clock
        JOIN lanes ON lanes.due_at <= clock.now
        LEFT JOIN unnest(CAST(:tenants AS uuid[]), CAST(:origins AS text[]), CAST(:attempts AS int[]))
             AS busy (tenant_id, origin, attempts) USING (tenant_id, origin)
        CROSS JOIN LATERAL (
            SELECT id, due_at FROM webhook_deliveries
            WHERE status = 'pending' AND tenant_id = lanes.tenant_id AND origin = lanes.origin
              AND due_at <= clock.now
            ORDER BY due_at
            LIMIT greatest(0, least(:room, :cap - coalesce(busy.attempts, 0)))
            FOR UPDATE SKIP LOCKED
        ) AS waiting
        ORDER BY waiting.due_at LIMIT :room
    )
    UPDATE webhook_deliveries AS delivery
    SET status = 'delivering', owner = :owner, epoch = epoch + 1, attempts = attempts + 1,
        lease_until = clock_timestamp() + CAST(:lease AS float8) * interval '1 second'
    FROM due, events AS event
    WHERE delivery.id = due.id AND delivery.status = 'pending' AND event.id = delivery.event_id
    RETURNING delivery.id, delivery.epoch, delivery.attempts AS attempt, delivery.tenant_id, delivery.job_id,
              delivery.url, delivery.origin, delivery.event_id, event.type, event.body,
              event.created_at AS happened_at, due.now AS at
    """
)

# The attempt is logged whether or not the delivery is still the owner's, since it was made; again is no
# error, since the answer to the first time may have been lost. What the receiver said is not kept when the
# job was deleted meanwhile: it may repeat what it was sent.
_SETTLE = text(
    f"""
    WITH delivery AS (
        SELECT status FROM webhook_deliveries WHERE id = :id FOR UPDATE
    ), logged AS (
        INSERT INTO webhook_attempts
               (delivery_id, number, tenant_id, at, status_code, latency_ms, error, response)
        SELECT :id, :number, :tenant_id, :at, :status_code, :latency_ms,
               CASE WHEN delivery.status <> 'cancelled' THEN CAST(:error AS text) END,
               CASE WHEN delivery.status <> 'cancelled' THEN CAST(:response AS bytea) ELSE '' END
        FROM delivery
        ON CONFLICT DO NOTHING
    )
    UPDATE webhook_deliveries
    SET status = :status, reason = :reason, {_NOBODYS},
        due_at = CASE WHEN :status = 'pending'
                      THEN {NOW} + CAST(:wait AS float8) * interval '1 second' ELSE due_at END,
        finished_at = CASE WHEN :status <> 'pending' THEN {NOW} END
    FROM delivery  -- so that the row is locked and read before it is written
    WHERE id = :id AND epoch = :epoch AND webhook_deliveries.status = 'delivering'
    RETURNING id
    """
).bindparams(bindparam("response", type_=BYTEA))

_GIVE_BACK = text(
    f"""
    UPDATE webhook_deliveries AS delivery SET status = 'pending', attempts = attempts - 1, {_NOBODYS}
    FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS int[])) AS held (id, epoch)
    WHERE delivery.id = held.id AND delivery.epoch = held.epoch AND delivery.status = 'delivering'
    """
)

_FREE_LOST = text(
    f"""
    UPDATE webhook_deliveries SET status = 'pending', {_NOBODYS}
    WHERE id IN (SELECT id FROM webhook_deliveries
                 WHERE status = 'delivering' AND lease_until < clock_timestamp()
                 FOR UPDATE SKIP LOCKED)
    RETURNING id
    """
)

Lane = tuple[UUID, str]
"""A tenant and an origin: what a dead receiver may hold up is its own lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery whose attempt of that number is the claimer's to make, and all that it takes to make it."""

    id: UUID
    epoch: int
    attempt: int
    tenant_id: UUID
    job_id: UUID
    url: str
    origin: str
    event_id: UUID
    type: str
    body: bytes
    happened_at: datetime
    at: datetime

    @property
    def lane(self) -> Lane:
        return self.tenant_id, self.origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is kept of an attempt: `error` says what went wrong, `response` is the beginning of the answer."""

    status_code: int | None
    latency_ms: int
    error: str | None
    response: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the telling of a job's end has come."""

    url: str
    status: str
    attempts: int


async def claim(
    connection: AnyConnection,
    *,
    owner: str,
    lease: float,
    room: int,
    cap: int,
    busy: Mapping[Lane, int],
    now: datetime | None,
) -> list[Claimed]:
    """Take up to `room` due deliveries, in no lane more than `cap` less what is `busy` there already."""
    given = {
        "tenants": [tenant_id for tenant_id, _ in busy],
        "origins": [origin for _, origin in busy],
        "attempts": list(busy.values()),
    }
    rows = await connection.execute(
        _CLAIM, given | {"owner": owner, "lease": lease, "room": room, "cap": cap, "now": now}
    )
    return [Claimed(**dict(zip(Claimed.__slots__, row, strict=True))) for row in rows]


async def settle(
    connection: AnyConnection, delivery: Claimed, record: Record, verdict: Verdict, *, now: datetime | None
) -> bool:
    """Log the attempt and say what follows from it; False if the delivery was somebody else's by then."""
    status, reason, wait = _columns(verdict)
    given = {
        "id": delivery.id,
        "epoch": delivery.epoch,
        "number": delivery.attempt,
        "tenant_id": delivery.tenant_id,
        "at": delivery.at,
        "status_code": record.status_code,
        "latency_ms": record.latency_ms,
        "error": record.error,
        "response": record.response,
    }
    rows = await connection.execute(
        _SETTLE, given | {"status": status, "reason": reason, "wait": wait, "now": now}
    )
    return rows.one_or_none() is not None


async def give_back(connection: AnyConnection, deliveries: Sequence[Claimed]) -> None:
    """Undo the claim of deliveries whose attempt was not begun."""
    ids, epochs = [delivery.id for delivery in deliveries], [delivery.epoch for delivery in deliveries]
    await connection.execute(_GIVE_BACK, {"ids": ids, "epochs": epochs})


async def free_lost(connection: AnyConnection) -> int:
    """Let others have what a sender claimed and did not settle within its lease; returns how many."""
    rows = await connection.execute(_FREE_LOST, {})
    return len(rows.all())


async def of_jobs(connection: Connection, tenant: Tenant, job_ids: Sequence[UUID]) -> dict[UUID, Progress]:
    """How the end of each of these jobs is being told; for many in one query."""
    query = tenant.rows(EVENTS, EVENTS.c.job_id, DELIVERIES.c.url, DELIVERIES.c.status, DELIVERIES.c.attempts)
    query = query.join(DELIVERIES, DELIVERIES.c.event_id == EVENTS.c.id)
    rows = await connection.execute(query.where(EVENTS.c.is_end, EVENTS.c.job_id.in_(job_ids)))
    return {job_id: Progress(*progress) for job_id, *progress in rows}


def _columns(verdict: Verdict) -> tuple[str, str | None, float]:
    match verdict:
        case Delivered():
            return "delivered", None, 0.0
        case Retry(after):
            return "pending", None, after
        case Exhausted(reason):
            return "exhausted", reason, 0.0
        case _:
            assert_never(verdict)
