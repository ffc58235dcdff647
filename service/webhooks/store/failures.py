"""What failures do to lanes and endpoints: breakers open, endpoints are disabled.

As settling, it runs under the lock of the claims.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from service.database import AnyConnection
from service.database.base import NOW
from service.webhooks.lanes import Key, beside
from service.webhooks.rules import Rules
from service.webhooks.schedule import Delivered, Held
from service.webhooks.store.settle import Ended

# What failed while the breaker was open had begun before: it opens it no further.
_OPENS = (
    "(lane.open_until IS NULL OR lane.open_until <= {now}) AND lane.failures + excluded.failures >= :most"
)
_PAUSE = "CAST(:first AS float8) * interval '1 second'"
_LONGER = "least(:longest, CAST(:first AS float8) * power(2, least(lane.openings, 30))) * interval '1 second'"
_FAIL_LANES = text(
    f"""
    WITH failed AS MATERIALIZED (
        SELECT failed.*, coalesce(lane.openings, 0) AS openings
        FROM unnest(CAST(:tenants AS uuid[]), CAST(:origins AS text[]), CAST(:failures AS int[]))
             AS failed (tenant_id, origin, failures)
        LEFT JOIN webhook_lanes AS lane USING (tenant_id, origin)
    ), counted AS (
        INSERT INTO webhook_lanes AS lane
               (tenant_id, origin, served_at, failures, openings, open_until, places)
        SELECT tenant_id, origin, {NOW}, failures,
               CASE WHEN failures >= :most THEN 1 ELSE 0 END,
               CASE WHEN failures >= :most THEN {NOW} + {_PAUSE} END,
               CASE WHEN failures >= :most THEN 1 END
        FROM failed
        ON CONFLICT (tenant_id, origin) DO UPDATE
        SET served_at = excluded.served_at,
            failures = lane.failures + excluded.failures,
            openings = CASE WHEN {_OPENS.format(now=NOW)} THEN lane.openings + 1 ELSE lane.openings END,
            open_until = CASE WHEN {_OPENS.format(now=NOW)} THEN {NOW} + {_LONGER} ELSE lane.open_until END,
            places = CASE WHEN {_OPENS.format(now=NOW)} THEN 1 ELSE lane.places END,
            ready_at = CASE WHEN lane.ready_at IS NOT NULL THEN {NOW} END
        RETURNING lane.*
    )
    SELECT tenant_id, origin, counted.failures, counted.openings, counted.open_until,
           counted.openings > failed.openings AS has_opened
    FROM counted JOIN failed USING (tenant_id, origin)
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
    FROM unnest(CAST(:ids AS uuid[]), CAST(:urls AS text[]), CAST(:new AS int[]), CAST(:gone AS boolean[]))
         AS failed (id, url, events, gone)
    WHERE endpoint.id = failed.id AND endpoint.url = failed.url AND disabled_at IS NULL
    RETURNING endpoint.id, tenant_id, mode, endpoint.url, disabled_reason, disabled_at, failing_since,
              succeeded_at
    """
)


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
    """Count the failures of endpoints; those that were disabled for them.

    What a URL answered that an endpoint had before is nothing against the one that it has now.
    """
    new: Counter[tuple[UUID, str]] = Counter()
    gone: set[tuple[UUID, str]] = set()
    for one in ended:
        delivery = one.delivery
        if delivery.endpoint_id is None or not one.blamed or isinstance(one.verdict, Delivered):
            continue
        receiver = delivery.endpoint_id, delivery.url
        new[receiver] += delivery.attempt == delivery.past_attempts + 1
        if isinstance(one.verdict, Held):
            gone.add(receiver)
    if not new:
        return []
    given = {
        "ids": [endpoint_id for endpoint_id, _ in new],
        "urls": [url for _, url in new],
        "new": list(new.values()),
        "gone": [receiver in gone for receiver in new],
        "events": rules.disable_events,
        "apart": rules.disable_apart,
        "silent": rules.disable_after,
        "now": now,
    }
    rows = await connection.execute(_FAIL_ENDPOINTS, given)
    return [Disabled(**dict(zip(Disabled.__slots__, row, strict=True))) for row in rows if row[5] is not None]


def _keys(keys: Sequence[Key]) -> dict[str, Any]:
    return {"tenants": [tenant_id for tenant_id, _ in keys], "origins": [origin for _, origin in keys]}
