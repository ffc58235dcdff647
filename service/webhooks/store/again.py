"""What endpoints and callers ask of deliveries: hold, release, withdraw, deliver again, replay.

A part of the caller's transaction, a tenant's own or an operator's. Whatever is to be sent again stands in
the line of the replays from the start, so that no claim comes upon all of it at once.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from service.database import Connection
from service.database.base import NOW
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks.forms import MISSED
from service.webhooks.lanes import REPLAY, endpoint_lane
from service.webhooks.schedule import LONGEST_AGE
from service.webhooks.store.table import NOBODYS, id_like

MOST_REPLAYED = 10_000

_OF_ENDPOINT = "tenant_id = :tenant_id AND mode = :mode AND endpoint_id = :endpoint_id"
_AGE = f"interval '{LONGEST_AGE} seconds'"

STEP = 5_000
"""Deliveries of one transaction, when endpoints change: a dead receiver may have any number of them."""
_SOME = f"""
    id IN (SELECT id FROM webhook_deliveries WHERE {_OF_ENDPOINT} AND %s LIMIT {STEP} FOR UPDATE SKIP LOCKED)
"""
_HOLD = text(
    f"""
    UPDATE webhook_deliveries SET status = 'held', in_line = FALSE
    WHERE {_SOME % "status = 'pending'"} RETURNING id
    """
)
# A sender that is at work on one finds that it is not its own any more.
_WITHDRAW = text(
    f"""
    UPDATE webhook_deliveries
    SET status = 'cancelled', reason = 'removed', in_line = FALSE, finished_at = {NOW}, {NOBODYS}
    WHERE {_SOME % "status IN ('pending', 'delivering', 'held')"} RETURNING id
    """
)
_RELEASE = text(
    f"""
    UPDATE webhook_deliveries
    SET status = 'pending', in_line = TRUE, origin = :lane, due_at = least(due_at, {NOW})
    WHERE {_SOME % f"status = 'held' AND gives_up_at > {NOW}"} RETURNING id
    """
)
_AFRESH = f"""
    status = 'pending', in_line = TRUE, origin = 'replay:' || regexp_replace(delivery.origin, '^replay:', ''),
    gives_up_at = {NOW} + {_AGE}, past_attempts = attempts, reason = NULL, finished_at = NULL
"""
# One that is about to be made needs no second one. What was erased cannot be sent.
_REDELIVER = text(
    f"""
    UPDATE webhook_deliveries AS delivery SET {_AFRESH}, due_at = {NOW}
    FROM events AS event
    WHERE delivery.id = :id AND delivery.tenant_id = :tenant_id AND delivery.mode = :mode
      AND delivery.status <> 'delivering' AND event.id = delivery.event_id AND event.body IS NOT NULL
    RETURNING delivery.origin
    """
)
# Oldest first, so that whoever replays in steps goes on where the last one ended; due since they happened, so
# that they are sent in that order too.
_REPLAY = text(
    f"""
    WITH endpoint AS (
        SELECT id, tenant_id, mode, url, events FROM webhook_endpoints
        WHERE id = :endpoint_id AND tenant_id = :tenant_id AND mode = :mode
    ), missed AS MATERIALIZED (
        SELECT event.id AS event_id, event.job_id, event.tenant_id, event.mode, event.created_at, delivery.id,
               endpoint.url
        FROM endpoint
        JOIN events AS event ON event.tenant_id = endpoint.tenant_id AND event.mode = endpoint.mode
             AND event.type = ANY (endpoint.events)
        LEFT JOIN webhook_deliveries AS delivery
             ON delivery.event_id = event.id AND md5(delivery.url) = md5(endpoint.url)
        WHERE event.created_at >= :since
          AND event.created_at < coalesce(CAST(:until AS timestamptz), 'infinity')
          AND event.body IS NOT NULL AND event.job_id IS NOT NULL
          AND CASE WHEN delivery.id IS NULL THEN :missing
                   ELSE delivery.endpoint_id = endpoint.id
                        AND delivery.status = ANY (CAST(:statuses AS text[])) END
        ORDER BY event.created_at, event.id LIMIT :limit
    ), again AS (
        UPDATE webhook_deliveries AS delivery SET {_AFRESH}, due_at = missed.created_at
        FROM missed WHERE delivery.id = missed.id AND delivery.status NOT IN ('pending', 'delivering')
        RETURNING delivery.id
    ), made AS (
        INSERT INTO webhook_deliveries (id, tenant_id, mode, event_id, job_id, endpoint_id, url, origin,
                                        in_line, due_at, gives_up_at, created_at)
        SELECT {id_like(":stem")}, tenant_id, mode, event_id, job_id, :endpoint_id, url, :lane, TRUE,
               created_at, {NOW} + {_AGE}, {NOW}
        FROM missed WHERE id IS NULL
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT id FROM again UNION ALL SELECT id FROM made
    """
)
# The last statement of its transaction, so that no claim waits for the rows. Whoever asks has reason to
# believe that the receiver is back: an open breaker lets the next one through now, and judges by that.
_READY = text(
    f"""
    WITH breaker AS (
        UPDATE webhook_lanes SET open_until = {NOW}, ready_at = CASE WHEN ready_at IS NOT NULL THEN {NOW} END
        WHERE tenant_id = :tenant_id AND origin = regexp_replace(:lane, '^replay:', '') AND open_until > {NOW}
    )
    INSERT INTO webhook_lanes AS lane (tenant_id, origin, ready_at) VALUES (:tenant_id, :lane, {NOW})
    ON CONFLICT (tenant_id, origin) DO UPDATE SET ready_at = excluded.ready_at
    """
)


async def hold(connection: Connection, tenant: Tenant, endpoint_id: UUID) -> int:
    """Keep back what was not delivered to the endpoint, which is disabled; returns how many.

    At most `STEP`, and so do the two below: asked again, each goes on.
    """
    return await _count(connection, _HOLD, tenant, endpoint_id)


async def withdraw(connection: Connection, tenant: Tenant, endpoint_id: UUID, *, now: datetime | None) -> int:
    """Cancel all that was not delivered to the endpoint, which is removed; returns how many."""
    return await _count(connection, _WITHDRAW, tenant, endpoint_id, now=now)


async def release(connection: Connection, tenant: Tenant, endpoint_id: UUID, *, now: datetime | None) -> int:
    """Let what was held go on where it stopped, oldest first; returns how many.

    The last thing in the caller's transaction, which then rings the bell.
    """
    lane = REPLAY + endpoint_lane(endpoint_id)
    released = await _count(connection, _RELEASE, tenant, endpoint_id, lane=lane, now=now)
    if released:
        await connection.execute(_READY, {"tenant_id": tenant.id, "lane": lane, "now": now})
    return released


async def redeliver(
    connection: Connection, tenant: Tenant, delivery_id: UUID, *, now: datetime | None
) -> bool:
    """Begin the schedule of the delivery anew, at once; False if it is being made, was erased or is not
    there.

    The last thing in the caller's transaction, which then rings the bell. Of a disabled endpoint it becomes
    `held`.
    """
    given = {"id": delivery_id, "tenant_id": tenant.id, "mode": tenant.mode, "now": now}
    lane = (await connection.execute(_REDELIVER, given)).scalar_one_or_none()
    if lane is not None:
        await connection.execute(_READY, {"tenant_id": tenant.id, "lane": lane, "now": now})
    return lane is not None


async def replay(
    connection: Connection,
    tenant: Tenant,
    endpoint_id: UUID,
    *,
    since: datetime,
    until: datetime | None,
    statuses: Collection[str],
    limit: int = MOST_REPLAYED,
    now: datetime | None,
) -> int:
    """Send again the events since then that the endpoint wants, oldest first; returns how many.

    Deliveries in these states and, of `missed`, events that have no delivery to its URL. What is still to be
    delivered needs no replay and gets none.
    The last thing in the caller's transaction, which then rings the bell.
    """
    lane = REPLAY + endpoint_lane(endpoint_id)
    given: dict[str, Any] = {
        "since": since,
        "until": until,
        "statuses": sorted(statuses),
        "missing": MISSED in statuses,
        "limit": limit,
        "lane": lane,
        "stem": str(uuid7()),
        "now": now,
    }
    replayed = await _count(connection, _REPLAY, tenant, endpoint_id, **given)
    if replayed:
        await connection.execute(_READY, {"tenant_id": tenant.id, "lane": lane, "now": now})
    return replayed


async def _count(
    connection: Connection, statement: TextClause, tenant: Tenant, endpoint_id: UUID, **given: Any
) -> int:
    whose = {"tenant_id": tenant.id, "mode": tenant.mode, "endpoint_id": endpoint_id}
    return len((await connection.execute(statement, whose | given)).all())
