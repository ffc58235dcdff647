"""What came of attempts, for all that ended together.

It runs under the lock of the claims, so that no lane changes while somebody goes by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from sqlalchemy import text

from service.database import AnyConnection
from service.database.base import NOW
from service.webhooks.lanes import beside
from service.webhooks.schedule import Delivered, Exhausted, Held, Retry, Verdict
from service.webhooks.store.claims import Claimed
from service.webhooks.store.table import NOBODYS

_REMEMBERED = "interval '1 minute'"
"""How exactly it is known when an endpoint was last reached: a write for each success would be one too many.
"""

# The attempt is logged whether or not the delivery is still the owner's, since it was made; again is no
# error, since the answer to the first time may have been lost. What the receiver said is not kept when the
# job was deleted meanwhile: it may repeat what it was sent.
_SETTLE = text(
    f"""
    WITH ended AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS int[]), CAST(:numbers AS int[]),
                             CAST(:tenants AS uuid[]), CAST(:ats AS timestamptz[]),
                             CAST(:status_codes AS int[]), CAST(:latencies AS int[]), CAST(:errors AS text[]),
                             CAST(:responses AS bytea[]), CAST(:statuses AS text[]),
                             CAST(:reasons AS text[]), CAST(:waits AS float8[]))
             AS ended (id, epoch, number, tenant_id, at, status_code, latency_ms, error, response, status,
                       reason, wait)
    ), delivery AS MATERIALIZED (
        SELECT id, delivery.status AS is, ended.epoch, number, ended.tenant_id, at, status_code, latency_ms,
               error, response, ended.status, ended.reason, wait
        FROM webhook_deliveries AS delivery JOIN ended USING (id) ORDER BY id FOR UPDATE OF delivery
    ), logged AS (
        INSERT INTO webhook_attempts
               (delivery_id, number, tenant_id, at, status_code, latency_ms, error, response)
        SELECT id, number, tenant_id, at, status_code, latency_ms,
               CASE WHEN delivery.is <> 'cancelled' THEN error END,
               CASE WHEN delivery.is <> 'cancelled' THEN response ELSE '' END
        FROM delivery
        ON CONFLICT DO NOTHING
    ), well AS (
        UPDATE webhook_lanes AS lane
        SET served_at = {NOW}, failures = 0, openings = 0, open_until = NULL,
            places = CASE WHEN places * 2 < :lane_slots THEN places * 2 END,
            ready_at = CASE WHEN ready_at IS NOT NULL THEN {NOW} END
        FROM unnest(CAST(:well_tenants AS uuid[]), CAST(:well_origins AS text[])) AS well (tenant_id, origin)
        WHERE lane.tenant_id = well.tenant_id AND lane.origin = well.origin
    ), reached AS (
        UPDATE webhook_endpoints SET succeeded_at = {NOW}, failing_since = NULL, failed_events = 0
        WHERE id = ANY (CAST(:reached AS uuid[]))
          AND (failing_since IS NOT NULL OR succeeded_at IS NULL OR succeeded_at < {NOW} - {_REMEMBERED})
    )
    UPDATE webhook_deliveries AS settled
    SET status = delivery.status, reason = delivery.reason, {NOBODYS},
        due_at = CASE WHEN delivery.status = 'pending'
                      THEN {NOW} + wait * interval '1 second' ELSE settled.due_at END,
        finished_at = CASE WHEN delivery.status <> 'pending' THEN {NOW} END
    FROM delivery
    WHERE settled.id = delivery.id AND settled.epoch = delivery.epoch AND settled.status = 'delivering'
    RETURNING settled.id
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is kept of an attempt: `error` says what went wrong, `response` is the beginning of the answer."""

    status_code: int | None
    latency_ms: int
    error: str | None
    response: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt that was made. `blamed`: that it failed is the receiver's doing, and not ours."""

    delivery: Claimed
    record: Record
    verdict: Verdict
    blamed: bool


async def settle(
    connection: AnyConnection, ended: Sequence[Ended], *, lane_slots: int, now: datetime | None
) -> set[UUID]:
    """Log the attempts and say what follows; what is not in the answer was somebody else's by then."""
    columns = [_columns(one.verdict) for one in ended]
    delivered = [one.delivery for one in ended if isinstance(one.verdict, Delivered)]
    well = {lane for delivery in delivered for lane in (delivery.lane, beside(delivery.lane))}
    given: dict[str, Any] = {
        "ids": [one.delivery.id for one in ended],
        "epochs": [one.delivery.epoch for one in ended],
        "numbers": [one.delivery.attempt for one in ended],
        "tenants": [one.delivery.tenant_id for one in ended],
        "ats": [one.delivery.at for one in ended],
        "status_codes": [one.record.status_code for one in ended],
        "latencies": [one.record.latency_ms for one in ended],
        "errors": [one.record.error for one in ended],
        "responses": [one.record.response for one in ended],
        "statuses": [status for status, _, _ in columns],
        "reasons": [reason for _, reason, _ in columns],
        "waits": [wait for _, _, wait in columns],
        "well_tenants": [tenant_id for tenant_id, _ in well],
        "well_origins": [origin for _, origin in well],
        "reached": list({delivery.endpoint_id for delivery in delivered if delivery.endpoint_id}),
        "lane_slots": lane_slots,
        "now": now,
    }
    rows = await connection.execute(_SETTLE, given)
    return {row[0] for row in rows}


def _columns(verdict: Verdict) -> tuple[str, str | None, float]:
    match verdict:
        case Delivered():
            return "delivered", None, 0.0
        case Retry(after):
            return "pending", None, after
        case Held():
            # The claim holds it, should its endpoint be disabled now, and not moved or removed meanwhile.
            return "pending", None, 0.0
        case Exhausted(reason):
            return "exhausted", reason, 0.0
        case _:
            assert_never(verdict)
