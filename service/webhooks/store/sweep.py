"""What nobody comes by otherwise, looked for at every tick or every minute, in small steps that hold up
nobody."""

from datetime import datetime

from sqlalchemy import TextClause, text

from service.database import AnyConnection
from service.database.base import NOW
from service.webhooks.lanes import REPLAY
from service.webhooks.store.table import NOBODYS

MOST = 1000
"""Rows in one step."""

_FREE_LOST = text(
    f"""
    UPDATE webhook_deliveries SET status = 'pending', {NOBODYS}
    WHERE id IN (SELECT id FROM webhook_deliveries
                 WHERE status = 'delivering' AND lease_until < clock_timestamp()
                 FOR UPDATE SKIP LOCKED)
    RETURNING id
    """
)

# Word by word the condition of the index: what waits behind a breaker, and what is held.
_EXHAUST = text(
    f"""
    UPDATE webhook_deliveries
    SET status = 'exhausted', reason = 'age', in_line = FALSE, finished_at = {NOW}
    WHERE id IN (SELECT id FROM webhook_deliveries
                 WHERE (status = 'held' OR status = 'pending' AND in_line)
                   AND gives_up_at <= (SELECT {NOW} AS now)
                 ORDER BY gives_up_at LIMIT {MOST} FOR UPDATE SKIP LOCKED)
    RETURNING id
    """
)

# What was recorded or came back while its endpoint was being disabled.
_HOLD = text(
    f"""
    UPDATE webhook_deliveries SET status = 'held', in_line = FALSE
    WHERE id IN (SELECT waiting.id FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL (
                     SELECT id FROM webhook_deliveries
                     WHERE status = 'pending' AND tenant_id = endpoint.tenant_id
                       AND origin IN ('endpoint:' || endpoint.id, 'replay:endpoint:' || endpoint.id)
                     LIMIT {MOST} FOR UPDATE SKIP LOCKED
                 ) AS waiting
                 WHERE endpoint.disabled_at IS NOT NULL LIMIT {MOST})
    RETURNING id
    """
)

# What was being held while its endpoint was enabled.
_RELEASE = text(
    f"""
    UPDATE webhook_deliveries
    SET status = 'pending', origin = '{REPLAY}endpoint:' || endpoint_id
    WHERE id IN (SELECT waiting.id FROM webhook_endpoints AS endpoint CROSS JOIN LATERAL (
                     SELECT id FROM webhook_deliveries
                     WHERE endpoint_id = endpoint.id AND status = 'held'
                     LIMIT {MOST} FOR UPDATE SKIP LOCKED
                 ) AS waiting
                 WHERE endpoint.disabled_at IS NULL LIMIT {MOST})
    RETURNING id
    """
)

# What was being held while its endpoint was removed: no claim comes upon it. From endpoint to endpoint along
# the index.
_WITHDRAW = text(
    f"""
    WITH RECURSIVE known AS (
        (SELECT endpoint_id FROM webhook_deliveries WHERE endpoint_id IS NOT NULL
         ORDER BY endpoint_id LIMIT 1)
        UNION ALL
        SELECT next.* FROM known CROSS JOIN LATERAL (
            SELECT endpoint_id FROM webhook_deliveries
            WHERE endpoint_id > known.endpoint_id ORDER BY endpoint_id LIMIT 1
        ) AS next
    )
    UPDATE webhook_deliveries SET status = 'cancelled', reason = 'removed', finished_at = {NOW}
    WHERE id IN (SELECT waiting.id FROM known CROSS JOIN LATERAL (
                     SELECT id FROM webhook_deliveries
                     WHERE endpoint_id = known.endpoint_id AND status = 'held'
                     LIMIT {MOST} FOR UPDATE SKIP LOCKED
                 ) AS waiting
                 WHERE NOT EXISTS (SELECT FROM webhook_endpoints WHERE id = known.endpoint_id) LIMIT {MOST})
    RETURNING id
    """
)

# A line that no claim is led to: there should be none. From lane to lane along the index.
_FIND_STRAYS = text(
    f"""
    WITH RECURSIVE lanes AS (
        (SELECT tenant_id, origin FROM webhook_deliveries WHERE status = 'pending'
         ORDER BY tenant_id, origin LIMIT 1)
        UNION ALL
        SELECT next.* FROM lanes CROSS JOIN LATERAL (
            SELECT tenant_id, origin FROM webhook_deliveries
            WHERE status = 'pending' AND (tenant_id, origin) > (lanes.tenant_id, lanes.origin)
            ORDER BY tenant_id, origin LIMIT 1
        ) AS next
    )
    INSERT INTO webhook_lanes AS lane (tenant_id, origin, ready_at)
    SELECT tenant_id, origin, {NOW} FROM lanes
    WHERE EXISTS (SELECT FROM webhook_deliveries AS delivery
                  WHERE delivery.status = 'pending' AND delivery.in_line
                    AND delivery.tenant_id = lanes.tenant_id AND delivery.origin = lanes.origin)
      AND NOT EXISTS (SELECT FROM webhook_lanes AS known
                      WHERE known.tenant_id = lanes.tenant_id AND known.origin = lanes.origin
                        AND known.ready_at IS NOT NULL)
    ON CONFLICT (tenant_id, origin) DO UPDATE SET ready_at = coalesce(lane.ready_at, excluded.ready_at)
    RETURNING tenant_id
    """
)

# All is well with it, or nothing goes there any more.
_FORGET_LANES = text(
    f"""
    DELETE FROM webhook_lanes
    WHERE ready_at IS NULL AND (open_until IS NULL OR open_until <= {NOW})
      AND (failures = 0 AND places IS NULL
           OR coalesce(served_at, '-infinity') < {NOW} - interval '1 hour'
              AND NOT EXISTS (SELECT FROM webhook_deliveries AS waiting
                              WHERE waiting.status = 'pending' AND waiting.origin = webhook_lanes.origin
                                AND waiting.tenant_id = webhook_lanes.tenant_id))
    """
)


async def free_lost(connection: AnyConnection) -> int:
    """Let others have what a sender claimed and did not settle within its lease; returns how many."""
    return await _count(connection, _FREE_LOST)


async def exhaust(connection: AnyConnection, *, now: datetime | None) -> int:
    """Give up what became too old while it waited in a line or was held; returns how many."""
    return await _count(connection, _EXHAUST, now=now)


async def hold(connection: AnyConnection) -> int:
    """Hold what still waits for endpoints that are disabled; returns how many."""
    return await _count(connection, _HOLD)


async def release(connection: AnyConnection) -> int:
    """Let go what is held for endpoints that are enabled; returns how many."""
    return await _count(connection, _RELEASE)


async def withdraw(connection: AnyConnection, *, now: datetime | None) -> int:
    """Cancel what is held for endpoints that were removed; returns how many."""
    return await _count(connection, _WITHDRAW, now=now)


async def find_strays(connection: AnyConnection, *, now: datetime | None) -> int:
    """Lead the claims to lines that they are not led to; returns how many there were."""
    return await _count(connection, _FIND_STRAYS, now=now)


async def forget_lanes(connection: AnyConnection, *, now: datetime | None) -> None:
    """Remove the rows of lanes of which nothing needs to be known."""
    await connection.execute(_FORGET_LANES, {"now": now})


async def _count(connection: AnyConnection, statement: TextClause, **given: object) -> int:
    rows = await connection.execute(statement, given)
    return len(rows.all())
