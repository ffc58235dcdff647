"""What came of attempts: of the deliveries, of their lanes and of the endpoints; for all that ended together.

It runs under the lock of the claims, so that no lane changes while somebody goes by it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from sqlalchemy import text

from service.database import AnyConnection
from service.webhooks.lanes import Key, beside
from service.webhooks.rules import Rules
from service.webhooks.schedule import Delivered, Exhausted, Held, Retry, Verdict
from service.webhooks.store.claims import Claimed
from service.webhooks.store.table import NOBODYS, NOW

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
        finished_at = CASE WHEN delivery.status NOT IN ('pending', 'held') THEN {NOW} END
    FROM delivery
    WHERE settled.id = delivery.id AND settled.epoch = delivery.epoch AND settled.status = 'delivering'
    RETURNING settled.id
    """
)

# What failed while the breaker was open had begun before: it opens it no further.
_OPENS = (
    "(lane.open_until IS NULL OR lane.open_until <= {now}) AND lane.failures + excluded.failures >= :most"
)
_PAUSE = "CAST(:first AS float8) * interval '1 second'"
_LONGER = "least(:longest, CAST(:first AS float8) * power(2, least(lane.openings, 30))) * interval '1 second'"
_FAIL_LANES = text(
    f"""
    INSERT INTO webhook_lanes AS lane (tenant_id, origin, served_at, failures, openings, open_until, places)
    SELECT tenant_id, origin, {NOW}, failures,
           CASE WHEN failures >= :most THEN 1 ELSE 0 END,
           CASE WHEN failures >= :most THEN {NOW} + {_PAUSE} END,
           CASE WHEN failures >= :most THEN 1 END
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:origins AS text[]), CAST(:failures AS int[]))
         AS failed (tenant_id, origin, failures)
    ON CONFLICT (tenant_id, origin) DO UPDATE
    SET served_at = excluded.served_at,
        failures = lane.failures + excluded.failures,
        openings = CASE WHEN {_OPENS.format(now=NOW)} THEN lane.openings + 1 ELSE lane.openings END,
        open_until = CASE WHEN {_OPENS.format(now=NOW)} THEN {NOW} + {_LONGER} ELSE lane.open_until END,
        places = CASE WHEN {_OPENS.format(now=NOW)} THEN 1 ELSE lane.places END,
        ready_at = CASE WHEN lane.ready_at IS NOT NULL THEN {NOW} END
    RETURNING new.tenant_id, new.origin, new.failures, new.openings, new.open_until,
              new.openings > coalesce(old.openings, 0) AS has_opened
    """
)
# The lanes of replays have no failures of their own, but a place has become free in them too.
_FREE_LANES = text(
    f"""
    UPDATE webhook_lanes AS lane SET ready_at = {NOW}
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:origins AS text[])) AS free (tenant_id, origin)
    WHERE lane.tenant_id = free.tenant_id AND lane.origin = free.origin AND lane.ready_at IS NOT NULL
    """
)

# No success for so long, counted from the first failure where there never was one; so many events; so far
# apart.
_FAILING = f"""
    failed_events + failed.events >= :events
    AND {NOW} - coalesce(failing_since, {NOW}) >= CAST(:apart AS float8) * interval '1 second'
    AND {NOW} - coalesce(succeeded_at, failing_since, {NOW}) >= CAST(:silent AS float8) * interval '1 second'
"""
_FAIL_ENDPOINTS = text(
    f"""
    UPDATE webhook_endpoints AS endpoint
    SET failing_since = coalesce(failing_since, {NOW}), failed_events = failed_events + failed.events,
        disabled_at = CASE WHEN failed.gone OR ({_FAILING}) THEN {NOW} END,
        disabled_reason = CASE WHEN failed.gone THEN 'gone' WHEN {_FAILING} THEN 'failing' END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:new AS int[]), CAST(:gone AS boolean[]))
         AS failed (id, events, gone)
    WHERE endpoint.id = failed.id AND disabled_at IS NULL
    RETURNING endpoint.id, tenant_id, mode, url, disabled_reason, disabled_at, failing_since, succeeded_at
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """An endpoint that was disabled just now, and why."""

    id: UUID
    tenant_id: UUID
    mode: str
    url: str
    reason: str
    disabled_at: datetime
    failing_since: datetime
    succeeded_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A lane whose breaker was opened by a failure just now."""

    tenant_id: UUID
    origin: str
    failures: int
    openings: int
    open_until: datetime


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


async def fail_lanes(
    connection: AnyConnection, ended: Sequence[Ended], *, rules: Rules, now: datetime | None
) -> list[Opened]:
    """Count the failures of the lanes, and open the breakers of those that had too many in a row."""
    failed = [one for one in ended if not isinstance(one.verdict, Delivered)]
    free = {one.delivery.lane for one in failed}
    lanes: Counter[Key] = Counter(beside(one.delivery.lane) for one in failed if one.blamed)
    await connection.execute(_FREE_LANES, _keys(sorted(free)) | {"now": now})
    if not lanes:
        return []
    keys = sorted(lanes)
    given = _keys(keys) | {
        "failures": [lanes[key] for key in keys],
        "most": rules.breaker_failures,
        "first": rules.breaker_first,
        "longest": rules.breaker_longest,
        "now": now,
    }
    rows = await connection.execute(_FAIL_LANES, given)
    return [
        Opened(
            tenant_id=tenant_id, origin=origin, failures=failures, openings=openings, open_until=open_until
        )
        for tenant_id, origin, failures, openings, open_until, has_opened in rows
        if has_opened
    ]


async def fail_endpoints(
    connection: AnyConnection, ended: Sequence[Ended], *, rules: Rules, now: datetime | None
) -> list[Disabled]:
    """Count the failures of endpoints; those that were disabled for them."""
    new: Counter[UUID] = Counter()
    gone: set[UUID] = set()
    for one in ended:
        endpoint_id = one.delivery.endpoint_id
        if endpoint_id is None or not one.blamed or isinstance(one.verdict, Delivered):
            continue
        new[endpoint_id] += one.delivery.attempt == one.delivery.past_attempts + 1
        if isinstance(one.verdict, Held):
            gone.add(endpoint_id)
    if not new:
        return []
    given = {
        "ids": list(new),
        "new": list(new.values()),
        "gone": [endpoint_id in gone for endpoint_id in new],
        "events": rules.disable_events,
        "apart": rules.disable_apart,
        "silent": rules.disable_after,
        "now": now,
    }
    rows = await connection.execute(_FAIL_ENDPOINTS, given)
    return [Disabled(**dict(zip(Disabled.__slots__, row, strict=True))) for row in rows if row[5] is not None]


def _keys(keys: Sequence[Key]) -> dict[str, Any]:
    return {"tenants": [tenant_id for tenant_id, _ in keys], "origins": [origin for _, origin in keys]}


def _columns(verdict: Verdict) -> tuple[str, str | None, float]:
    match verdict:
        case Delivered():
            return "delivered", None, 0.0
        case Retry(after):
            return "pending", None, after
        case Held():
            return "held", None, 0.0
        case Exhausted(reason):
            return "exhausted", reason, 0.0
        case _:
            assert_never(verdict)
