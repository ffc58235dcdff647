"""What endpoints and callers ask of deliveries: hold, release, withdraw, deliver again, replay.

A part of the caller's transaction, a tenant's own or an operator's. Whatever is to be sent again stands in
the line of the replays from the start, so that no claim comes upon all of it at once.
"""

from dataclasses import dataclass, replace
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
STRETCH = 20_000
"""Events that one statement of a replay looks at, however few of them there are to replay."""
ON_THEIR_WAY = {"pending", "delivering"}
_BEFORE_ALL = UUID(int=0)

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
    status = 'pending', in_line = TRUE, gives_up_at = {NOW} + {_AGE}, past_attempts = attempts, reason = NULL,
    finished_at = NULL
"""
# One that is about to be made needs no second one. What was erased cannot be sent.
_REDELIVER = text(
    f"""
    UPDATE webhook_deliveries AS delivery
    SET {_AFRESH}, origin = 'replay:' || regexp_replace(delivery.origin, '^replay:', ''), due_at = {NOW}
    FROM events AS event
    WHERE delivery.id = :id AND delivery.tenant_id = :tenant_id AND delivery.mode = :mode
      AND delivery.status <> 'delivering' AND event.id = delivery.event_id AND event.body IS NOT NULL
    RETURNING delivery.origin
    """
)
# Oldest first, so that whoever replays in steps goes on where the last one ended; due since they happened, so
# that they are sent in that order too. What became of an event is what became of it at the endpoint's URL,
# whichever endpoint had that then; or, if it never was to go there, at a URL that the endpoint had before.
_REPLAY = text(
    f"""
    WITH endpoint AS MATERIALIZED (
        SELECT id, url, events FROM webhook_endpoints
        WHERE id = :endpoint_id AND tenant_id = :tenant_id AND mode = :mode
    ), stretch AS MATERIALIZED (
        SELECT id AS event_id, job_id, tenant_id, mode, created_at, type, body IS NOT NULL AS has_body
        FROM events
        WHERE tenant_id = :tenant_id AND mode = :mode AND created_at >= :since
          AND created_at < coalesce(CAST(:until AS timestamptz), 'infinity')
          AND (created_at, id) > (:since, CAST(:after AS uuid)) AND EXISTS (SELECT FROM endpoint)
        ORDER BY created_at, id LIMIT {STRETCH}
    ), missed AS MATERIALIZED (
        SELECT stretch.*, endpoint.url, known.id, coalesce(known.is_here, FALSE) AS is_here
        FROM stretch CROSS JOIN endpoint LEFT JOIN LATERAL (
            SELECT id, status, endpoint_id, url = endpoint.url AS is_here FROM webhook_deliveries AS delivery
            WHERE event_id = stretch.event_id AND (url = endpoint.url OR delivery.endpoint_id = endpoint.id)
            ORDER BY url = endpoint.url DESC, id DESC LIMIT 1
        ) AS known ON TRUE
        WHERE type = ANY (events) AND has_body AND job_id IS NOT NULL
          AND CASE WHEN known.id IS NULL THEN :missing
                   -- What has gone there as a job's own is no endpoint's to replay.
                   ELSE known.endpoint_id IS NOT NULL
                        AND known.status = ANY (CAST(:statuses AS text[])) END
        ORDER BY created_at, event_id LIMIT :limit
    ), again AS (
        UPDATE webhook_deliveries AS delivery
        SET {_AFRESH}, endpoint_id = :endpoint_id, origin = :lane, due_at = missed.created_at
        FROM missed
        WHERE delivery.id = missed.id AND is_here AND delivery.status NOT IN ('pending', 'delivering')
        RETURNING delivery.id
    ), made AS (
        INSERT INTO webhook_deliveries (id, tenant_id, mode, event_id, job_id, endpoint_id, url, origin,
                                        in_line, due_at, gives_up_at, created_at)
        SELECT {id_like(":stem")}, tenant_id, mode, event_id, job_id, :endpoint_id, url, :lane, TRUE,
               created_at, {NOW} + {_AGE}, {NOW}
        FROM missed WHERE NOT is_here
        ON CONFLICT DO NOTHING
        RETURNING id
    )
    SELECT (SELECT count(*) FROM again) + (SELECT count(*) FROM made) AS replayed, created_at, event_id,
           (SELECT count(*) FROM stretch) = {STRETCH} AS has_more
    FROM stretch ORDER BY created_at DESC, event_id DESC LIMIT 1
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Which events to replay, and how many: those from `since` on, or `after` one of that time, that have
    become one of `statuses` there, or `missed`.
    """

    since: datetime
    until: datetime | None
    statuses: frozenset[str]
    limit: int = MOST_REPLAYED
    after: UUID = _BEFORE_ALL


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
    connection: Connection, tenant: Tenant, endpoint_id: UUID, stretch: Stretch, *, now: datetime | None
) -> tuple[int, Stretch | None]:
    """Send again the events of the stretch that the endpoint wants, oldest first; returns how many, and what
    is left to look at.

    What is still to be delivered needs no replay and gets none.
    The last thing in the caller's transaction, which then rings the bell.
    """
    lane = REPLAY + endpoint_lane(endpoint_id)
    given: dict[str, Any] = {
        "since": stretch.since,
        "until": stretch.until,
        "after": stretch.after,
        "statuses": sorted(stretch.statuses - ON_THEIR_WAY),
        "missing": MISSED in stretch.statuses,
        "limit": stretch.limit,
        "lane": lane,
        "stem": str(uuid7()),
        "now": now,
    }
    row = (await connection.execute(_REPLAY, given | _whose(tenant, endpoint_id))).one_or_none()
    if row is None:
        return 0, None
    if row.replayed:
        await connection.execute(_READY, {"tenant_id": tenant.id, "lane": lane, "now": now})
    left = stretch.limit - row.replayed
    if not left or not row.has_more:
        return row.replayed, None
    return row.replayed, replace(stretch, since=row.created_at, after=row.event_id, limit=left)


async def _count(
    connection: Connection, statement: TextClause, tenant: Tenant, endpoint_id: UUID, **given: Any
) -> int:
    return len((await connection.execute(statement, _whose(tenant, endpoint_id) | given)).all())


def _whose(tenant: Tenant, endpoint_id: UUID) -> dict[str, Any]:
    return {"tenant_id": tenant.id, "mode": tenant.mode, "endpoint_id": endpoint_id}
