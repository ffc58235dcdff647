"""The right to work on a job: taken, renewed, given back.

A claim writes owner, lease and a new epoch; every later write of its owner is guarded by that epoch.
Leases run on `clock_timestamp()`, the one clock that all workers share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.sql import column

from service.database import Connection
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store.table import COLUMNS, HAS_ENDED, IS_UNDER_WAY, NOW, returning_jobs

_LEASE_RAN_OUT = "(jobs.lease_until IS NULL OR jobs.lease_until < clock_timestamp())"
_LEASE = "clock_timestamp() + CAST(:lease AS float8) * interval '1 second'"
_CLAIM = f"owner = :owner, lease_until = {_LEASE}, epoch = jobs.epoch + 1"
_CLOCK = column("now", TIMESTAMP(timezone=True))

# Any number: it parts these locks from others taken in the same database.
_LOCK_SPACE = 7_346_012

_LOCK = text("SELECT pg_advisory_xact_lock(:space, hashtext(CAST(:token AS text)))")

MOST_OF_ONE_TENANT = 100
"""Jobs of one tenant in one claim. As a constant it tells the planner that few rows are wanted, so that it
reads the beginning of the index and does not sort the whole backlog."""

# A tenant's turn is its jobs in flight, were this one added, by its weight: the lowest turn goes first.
# What holds a place: all that is under way, and what was claimed and not sent yet.
_TAKE_WAITING = returning_jobs(
    f"""
    WITH held AS (
        SELECT tenant_id, count(*) AS jobs FROM jobs
        WHERE token_id = :token AND NOT ({HAS_ENDED})
          AND (status <> '{Status.ACCEPTED}' OR lease_until > clock_timestamp())
        GROUP BY tenant_id
    ), room AS (
        SELECT least(:room, :places - coalesce((SELECT sum(jobs) FROM held), 0)) AS jobs
    ), turns AS (
        SELECT waiting.id, (coalesce(held.jobs, 0) + waiting.place) / CAST(tenants.weight AS float8) AS turn
        FROM room
        CROSS JOIN tenants
        LEFT JOIN held ON held.tenant_id = tenants.id
        CROSS JOIN LATERAL (
            SELECT id, row_number() OVER (ORDER BY priority DESC, id) AS place FROM (
                SELECT id, priority FROM jobs
                WHERE tenant_id = tenants.id AND status = '{Status.ACCEPTED}' AND mode = 'live'
                  AND due_at <= {NOW} AND expires_at > {NOW} AND {_LEASE_RAN_OUT}
                  AND cancel_requested_at IS NULL
                ORDER BY priority DESC, id
                LIMIT {MOST_OF_ONE_TENANT}
            ) AS first
            LIMIT greatest(0, least(room.jobs, tenants.max_in_flight - coalesce(held.jobs, 0)))
        ) AS waiting
        ORDER BY turn, waiting.id
        LIMIT (SELECT greatest(0, jobs) FROM room)
    )
    UPDATE jobs SET {_CLAIM}, token_id = :token, waiting_for = NULL
    WHERE jobs.id = ANY (ARRAY(SELECT id FROM turns)) AND status = '{Status.ACCEPTED}' AND {_LEASE_RAN_OUT}
    RETURNING {COLUMNS}, {NOW} AS now
    """,
    _CLOCK,
)

# A row that is locked is being written by its owner, who is alive.
_TAKE_OVER = returning_jobs(
    f"""
    WITH lost AS (
        SELECT id FROM jobs
        WHERE token_id IS NOT NULL AND {IS_UNDER_WAY}
          AND (lease_until IS NULL OR (:expired AND lease_until < clock_timestamp()))
          AND (status <> '{Status.SUBMITTING}'
               OR intent_at < clock_timestamp() - CAST(:unanswered AS float8) * interval '1 second')
        LIMIT :room
        FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs SET {_CLAIM} FROM lost WHERE jobs.id = lost.id
    RETURNING {COLUMNS}, {NOW} AS now
    """,
    _CLOCK,
)

# A claimed job whose lease ran out holds no place any more: renewing it could exceed the limit.
_IS_HELD = f"jobs.owner = :owner AND (status <> '{Status.ACCEPTED}' OR lease_until > clock_timestamp())"

# A row that is locked is skipped and not lost: one slow write must not cost the leases of all others.
_RENEW = text(
    f"""
    WITH held AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS int[]), CAST(:positions AS int[]))
                      AS held (id, epoch, position)
    ), free AS (
        SELECT jobs.id, held.position FROM jobs JOIN held ON jobs.id = held.id AND jobs.epoch = held.epoch
        WHERE {_IS_HELD}
        FOR UPDATE OF jobs SKIP LOCKED
    ), renewed AS (
        UPDATE jobs
        SET lease_until = {_LEASE},
            queue_position = CASE WHEN status = '{Status.IN_QUEUE}'
                                  THEN coalesce(free.position, queue_position) END
        FROM free WHERE jobs.id = free.id
    )
    SELECT jobs.id FROM jobs JOIN held ON jobs.id = held.id AND jobs.epoch = held.epoch WHERE {_IS_HELD}
    """
)

_GIVE_BACK = text(
    f"""
    UPDATE jobs SET owner = NULL, lease_until = NULL
    FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS int[])) AS held (id, epoch)
    WHERE jobs.id = held.id AND jobs.epoch = held.epoch AND jobs.owner = :owner
      AND status <> '{Status.SUBMITTING}'
    """
)


@dataclass(frozen=True, slots=True)
class Owner:
    """A worker process, and for how many seconds its word counts."""

    name: str
    lease: float


@dataclass(frozen=True, slots=True)
class Claim:
    """Jobs that are now the claimer's, and the time at which they became so."""

    jobs: tuple[Job, ...]
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Holding:
    """One job as its owner knows it, with the last queue position it read, if any."""

    job_id: UUID
    epoch: int
    position: int | None = None


async def take_waiting(
    connection: Connection, owner: Owner, *, token_id: UUID, places: int, room: int, now: datetime | None
) -> Claim:
    """Claim up to `room` accepted jobs for this token, so that no more than `places` are in flight with it.

    Two statements in one READ COMMITTED transaction: the lock, then the claim. Counted in the statement
    that takes the lock, the counts would be older than the lock, and several workers would exceed the limit.
    """
    await connection.execute(_LOCK, {"space": _LOCK_SPACE, "token": str(token_id)})
    given = {"token": token_id, "places": places, "room": room, "now": now}
    rows = await connection.execute(_TAKE_WAITING, given | _named(owner))
    return _claim(rows.all())


async def take_over(
    connection: Connection,
    owner: Owner,
    *,
    room: int,
    unanswered_after: float,
    also_expired: bool,
    now: datetime | None,
) -> Claim:
    """Claim jobs under way that were given back or, if `also_expired`, whose lease ran out.

    One whose submit is on the wire is left alone until `unanswered_after` seconds after its intent.
    """
    given = {"room": room, "unanswered": unanswered_after, "expired": also_expired, "now": now}
    rows = await connection.execute(_TAKE_OVER, given | _named(owner))
    return _claim(rows.all())


async def renew(connection: Connection, owner: Owner, holdings: Sequence[Holding]) -> set[UUID]:
    """Extend the leases of these jobs; what is not in the answer is not the owner's any more."""
    rows = await connection.execute(_RENEW, _arrays(holdings) | _named(owner))
    return set(rows.scalars())


async def give_back(connection: Connection, owner: Owner, holdings: Sequence[Holding]) -> None:
    """Let other workers have these jobs at once."""
    given = _arrays(holdings) | {"owner": owner.name}
    given.pop("positions")
    await connection.execute(_GIVE_BACK, given)


def _named(owner: Owner) -> dict[str, object]:
    return {"owner": owner.name, "lease": owner.lease}


def _arrays(holdings: Sequence[Holding]) -> dict[str, object]:
    return {
        "ids": [holding.job_id for holding in holdings],
        "epochs": [holding.epoch for holding in holdings],
        "positions": [holding.position for holding in holdings],
    }


def _claim(rows: Sequence[object]) -> Claim:
    jobs = tuple(Job.of(row) for row in rows)  # type: ignore[arg-type]
    return Claim(jobs=jobs, at=rows[0].now if rows else None)  # type: ignore[attr-defined]
