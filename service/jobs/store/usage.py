"""What was used: of jobs that are stored and, added up when they were pruned, of those that are not any more.

Both are read in one statement, so a job that is pruned meanwhile is counted once. The jobs between two days
are read from `ix_jobs_usage` alone, which holds every column that is needed here: a million of them take half
a second, and 230 MB of index.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias

from sqlalchemy import text

from service.database import Connection
from service.jobs.lifecycle import Status
from service.tenants.tenant import Tenant

By: TypeAlias = Literal["day", "model"]
BYS: tuple[By, ...] = ("day", "model")

DAY = "CAST(finished_at AT TIME ZONE 'UTC' AS date)"
"""The day on which a job counts."""
UNCERTAIN = f"""
    mode = 'live'
    AND (unconfirmed > 0
         OR (cost_usd IS NULL AND submitted_at IS NOT NULL AND status <> '{Status.CANCELLED}'))
"""
"""It may have been charged, and nobody knows how much: it was taken, at a cost that was never told, or one of
its submits may have been, whatever the next one cost. Taken out of its queue again it cost nothing."""

_USED = f"""
    SELECT {{by}} AS key, status, CAST(sum(jobs) AS bigint) AS jobs, sum(cost_usd) AS cost_usd,
           CAST(sum(uncertain) AS bigint) AS uncertain
    FROM (
        SELECT day, model, status, jobs, cost_usd, uncertain FROM usage_days
        WHERE tenant_id = :tenant AND mode = :mode
          AND day >= CAST(:since AS date) AND day < CAST(:until AS date)
        UNION ALL
        SELECT {DAY}, model, status, 1, coalesce(cost_usd, 0), CASE WHEN {UNCERTAIN} THEN 1 ELSE 0 END
        FROM jobs
        WHERE tenant_id = :tenant AND mode = :mode AND finished_at IS NOT NULL
          AND finished_at >= CAST(CAST(:since AS date) AS timestamp) AT TIME ZONE 'UTC'
          AND finished_at < CAST(CAST(:until AS date) AS timestamp) AT TIME ZONE 'UTC'
    ) AS used
    GROUP BY key, status ORDER BY key
"""
_USED_BY = {by: text(_USED.format(by=by)) for by in BYS}


@dataclass(frozen=True, slots=True)
class Used:
    """Jobs of one day or model that ended in one way: how many, what they cost as far as that is known, and
    how many of them may have been charged more without anybody knowing how much."""

    key: date | str
    status: Status
    jobs: int
    cost_usd: Decimal
    uncertain: int


async def used(connection: Connection, tenant: Tenant, *, since: date, until: date, by: By) -> list[Used]:
    """What ended on these days, in the order of the days or models; `until` is not one of them."""
    given = {"tenant": tenant.id, "mode": tenant.mode, "since": since, "until": until}
    rows = await connection.execute(_USED_BY[by], given)
    return [Used(row.key, Status(row.status), row.jobs, row.cost_usd, row.uncertain) for row in rows]
