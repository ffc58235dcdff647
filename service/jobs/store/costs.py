"""Costs that are told late: when they are asked for, and where they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from service.database import Connection
from service.database.base import NOW
from service.jobs.store.table import HAS_ENDED

LAST = "finished_at + interval '1 hour'"

# Whoever takes one moves it on: to the last time or, after that, away.
_TAKE_DUE = text(
    f"""
    WITH due AS (
        SELECT id FROM jobs WHERE cost_due_at <= (SELECT {NOW}) ORDER BY cost_due_at LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs SET cost_due_at = CASE WHEN cost_due_at < {LAST} AND {NOW} < {LAST} THEN {LAST} END
    FROM due WHERE jobs.id = due.id
    RETURNING jobs.id, jobs.token_id, jobs.upstream_id
    """
)
_KEEP = text(
    f"""
    UPDATE jobs SET cost_usd = told.cost, cost_due_at = NULL
    FROM unnest(CAST(:ids AS uuid[]), CAST(:costs AS numeric[])) AS told (id, cost)
    WHERE jobs.id = told.id AND {HAS_ENDED} AND cost_usd IS NULL
    """
)


@dataclass(frozen=True, slots=True)
class Due:
    """A job whose cost is to be asked for, by the id it has at the upstream."""

    job_id: UUID
    token_id: UUID
    upstream_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a job cost, in USD."""

    job_id: UUID
    cost: Decimal


async def take_due(connection: Connection, *, most: int, now: datetime | None) -> list[Due]:
    """Jobs whose cost is to be asked for now."""
    return [Due(*row) for row in await connection.execute(_TAKE_DUE, {"most": most, "now": now})]


async def keep(connection: Connection, told: Sequence[Told]) -> None:
    """Write down what these jobs cost."""
    if told:
        given = {"ids": [one.job_id for one in told], "costs": [one.cost for one in told]}
        await connection.execute(_KEEP, given)
