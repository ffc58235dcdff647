"""The line of accepted jobs: who stands in it, and how claims are taken from it whatever its length.

What was put back, and what is overdue, stands aside, so that a claim meets only what it may take, or what was
claimed a moment ago. It goes from tenant to tenant that has somebody in line, and reads of each only as many
jobs as it can take: neither a backlog nor the number of tenants costs anything.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.sql import column
from sqlalchemy.sql.selectable import TextualSelect

from service.database import AnyConnection, Connection
from service.database.base import NOW
from service.jobs.lifecycle import Status
from service.jobs.models import OVERDUE
from service.jobs.store.table import COLUMNS, HOLDS_A_PLACE, IS_READY, LEASE_RAN_OUT, returning_jobs
from service.tenants.models import PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID

CLOCK = column("now", TIMESTAMP(timezone=True))

MOST_OF_ONE_TENANT = 100
"""Jobs of one tenant in one claim. As a constant it tells the planner that few rows are wanted, so that it
reads the beginning of the index and does not sort the whole backlog."""
FARTHEST = 1_000
"""No claim looks farther into one tenant's line, whatever stands there: claimed and not sent yet, or overdue
since a moment."""

# Each tenant that has somebody in line, with the first: one row of the index for each.
EVERYBODY = f"""
    (SELECT tenant_id, id FROM jobs WHERE {IS_READY} AND mode = :mode
     ORDER BY tenant_id, priority DESC, id LIMIT 1)
    UNION ALL
    SELECT next.tenant_id, next.id FROM line CROSS JOIN LATERAL (
        SELECT tenant_id, id FROM jobs WHERE {IS_READY} AND mode = :mode AND tenant_id > line.tenant_id
        ORDER BY tenant_id, priority DESC, id LIMIT 1
    ) AS next
"""
ITS_OWNER = f"""
    (SELECT tenant_id, id FROM jobs
     WHERE {IS_READY} AND mode = :mode
       AND tenant_id = (SELECT tenant_id FROM upstream_tokens WHERE id = :token)
     ORDER BY priority DESC, id LIMIT 1)
"""
IS_WITHOUT_OWN = "NOT EXISTS (SELECT FROM upstream_tokens WHERE upstream_tokens.tenant_id = line.tenant_id)"


def taking(mode: str, line: str, *, sets: str, also: str = "TRUE") -> TextualSelect:
    """The statement that claims, by what it `sets`, jobs of the tenants in `line` that `also` lets through.

    A tenant's turn is its jobs in flight, were this one added, by its weight: the lowest turn goes first. So
    of more tenants than there is room for the rest cannot be chosen, and their jobs are not read.
    """
    sql = f"""
    WITH RECURSIVE line AS ({line}), held AS (
        SELECT tenant_id, count(*) AS jobs FROM jobs
        WHERE token_id = :token AND {HOLDS_A_PLACE}
        GROUP BY tenant_id
    ), room AS (
        SELECT greatest(0, least(:room, :places - coalesce((SELECT sum(jobs) FROM held), 0))) AS jobs
    ), chosen AS (
        SELECT tenants.id, coalesce(held.jobs, 0) AS held, CAST(tenants.weight AS float8) AS weight,
               least(room.jobs, tenants.max_in_flight - coalesce(held.jobs, 0)) AS jobs
        FROM room CROSS JOIN line
        CROSS JOIN LATERAL (SELECT * FROM tenants WHERE tenants.id = line.tenant_id LIMIT 1) AS tenants
        LEFT JOIN held ON held.tenant_id = line.tenant_id
        WHERE tenants.max_in_flight > coalesce(held.jobs, 0) AND {also}
        ORDER BY (coalesce(held.jobs, 0) + 1) / CAST(tenants.weight AS float8), line.id
        LIMIT (SELECT jobs FROM room)
    ), turns AS (
        SELECT waiting.id, (chosen.held + waiting.place) / chosen.weight AS turn
        FROM chosen CROSS JOIN LATERAL (
            SELECT id, row_number() OVER (ORDER BY priority DESC, id) AS place FROM (
                SELECT id, priority FROM (
                    SELECT * FROM jobs
                    WHERE {IS_READY} AND mode = :mode AND tenant_id = chosen.id
                    ORDER BY priority DESC, id
                    LIMIT {FARTHEST}
                ) AS jobs
                WHERE due_at <= {NOW} AND expires_at > {NOW} AND {LEASE_RAN_OUT}
                  AND cancel_requested_at IS NULL
                ORDER BY priority DESC, id
                LIMIT {MOST_OF_ONE_TENANT}
            ) AS first
            LIMIT chosen.jobs
        ) AS waiting
        ORDER BY turn, waiting.id
        LIMIT (SELECT jobs FROM room)
    )
    UPDATE jobs SET {sets}, token_id = :token, waiting_for = NULL
    WHERE jobs.id = ANY (ARRAY(SELECT id FROM turns)) AND status = '{Status.ACCEPTED}' AND {LEASE_RAN_OUT}
    RETURNING {COLUMNS}, {NOW} AS now
    """
    # A constant, because the planner knows how rare it is.
    return returning_jobs(sql.replace(":mode", f"'{mode}'"), CLOCK)


_ACCOUNTS = text(
    f"""
    WITH RECURSIVE line AS (
        (SELECT mode, tenant_id FROM jobs WHERE {IS_READY} ORDER BY mode, tenant_id LIMIT 1)
        UNION ALL
        SELECT next.mode, next.tenant_id FROM line CROSS JOIN LATERAL (
            SELECT mode, tenant_id FROM jobs
            WHERE {IS_READY} AND (mode, tenant_id) > (line.mode, line.tenant_id)
            ORDER BY mode, tenant_id LIMIT 1
        ) AS next
    )
    SELECT DISTINCT CASE line.mode WHEN 'test' THEN CAST(:scripted AS uuid)
                    ELSE coalesce(own.id, CAST(:platform AS uuid)) END
    FROM line LEFT JOIN upstream_tokens AS own ON own.tenant_id = line.tenant_id
    """
)
_LET_IN = text(
    f"""
    WITH due AS (
        SELECT id FROM jobs
        WHERE status = '{Status.ACCEPTED}' AND waiting_for <> '{OVERDUE}' AND due_at <= (SELECT {NOW})
          AND cancel_requested_at IS NULL
        ORDER BY due_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs SET waiting_for = CASE WHEN expires_at <= {NOW} THEN '{OVERDUE}' END
    FROM due WHERE jobs.id = due.id
    """
)
# Any time that is past will do.
_HURRY = text(
    f"""
    WITH waiting AS (
        SELECT id FROM jobs
        WHERE status = '{Status.ACCEPTED}' AND waiting_for <> '{OVERDUE}' AND mode = 'live'
          AND waiting_for = 'upstream_account' AND due_at > (SELECT clock_timestamp())
          AND coalesce((SELECT own.id FROM upstream_tokens AS own WHERE own.tenant_id = jobs.tenant_id),
                       CAST(:platform AS uuid)) = ANY (CAST(:tokens AS uuid[]))
        FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs SET due_at = created_at FROM waiting WHERE jobs.id = waiting.id
    """
)
_SET_ASIDE = text(
    f"""
    WITH overdue AS (
        SELECT id, expires_at FROM jobs
        WHERE status = '{Status.ACCEPTED}' AND waiting_for IS NULL AND {LEASE_RAN_OUT}
          AND expires_at >= CAST(:since AS timestamptz) AND expires_at <= (SELECT {NOW})
        ORDER BY expires_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    ), aside AS (
        UPDATE jobs SET waiting_for = '{OVERDUE}' FROM overdue WHERE jobs.id = overdue.id
    )
    SELECT count(*), coalesce(max(expires_at), CAST(:since AS timestamptz)) FROM overdue
    """
)


async def waiting_accounts(connection: AnyConnection) -> set[UUID]:
    """The tokens under which there may be jobs to claim."""
    given = {"scripted": SCRIPTED_TOKEN_ID, "platform": PLATFORM_TOKEN_ID}
    return {row[0] for row in (await connection.execute(_ACCOUNTS, given)).all()}


async def let_in(connection: AnyConnection, *, most: int, now: datetime | None) -> None:
    """Have jobs stand in line again that were put back and are due."""
    await connection.execute(_LET_IN, {"most": most, "now": now})


async def hurry(connection: Connection, token_ids: Collection[UUID]) -> None:
    """Have jobs be due at once that these accounts turned away: that is mended."""
    await connection.execute(_HURRY, {"tokens": list(token_ids), "platform": PLATFORM_TOKEN_ID})


async def set_aside(
    connection: AnyConnection, *, since: datetime, most: int, now: datetime | None
) -> tuple[int, datetime]:
    """Take jobs out of the line whose deadline came since then; returns how many, and the last deadline."""
    given = {"since": since, "most": most, "now": now}
    row = (await connection.execute(_SET_ASIDE, given)).one_or_none()
    assert row is not None, "a count is always a row"
    return row[0], row[1]
