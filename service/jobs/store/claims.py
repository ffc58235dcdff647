"""The right to work on a job: taken, renewed, given back.

A claim writes owner, lease and a new epoch; every later write of its owner is guarded by that epoch.
Leases run on `clock_timestamp()`, the one clock that all workers share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from service.database import AnyConnection
from service.database.base import NOW
from service.database.locks import of_account, take_lock
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store import line
from service.jobs.store.table import COLUMNS, IS_UNDER_WAY, returning_jobs
from service.tenants.models import PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID

_LEASE = "clock_timestamp() + CAST(:lease AS float8) * interval '1 second'"
_CLAIM = f"owner = :owner, lease_until = {_LEASE}, epoch = jobs.epoch + 1"
_CLOCK = line.CLOCK

_TAKE_WAITING = line.taking("live", line.EVERYBODY, sets=_CLAIM, also=line.IS_WITHOUT_OWN)
_TAKE_OWN = line.taking("live", line.ITS_OWNER, sets=_CLAIM)
_TAKE_TEST = line.taking("test", line.EVERYBODY, sets=_CLAIM)

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
    connection: AnyConnection, owner: Owner, *, token_id: UUID, places: int, room: int, now: datetime | None
) -> Claim:
    """Claim up to `room` accepted jobs for this token, so that no more than `places` are in flight with it.

    Two statements in one READ COMMITTED transaction: the lock, then the claim. Counted in the statement
    that takes the lock, the counts would be older than the lock, and several workers would exceed the limit.
    """
    await take_lock(connection, of_account(token_id))
    given = {"token": token_id, "places": places, "room": room, "now": now}
    statement = {PLATFORM_TOKEN_ID: _TAKE_WAITING, SCRIPTED_TOKEN_ID: _TAKE_TEST}.get(token_id, _TAKE_OWN)
    rows = await connection.execute(statement, given | _named(owner))
    return _claim(rows.all())


async def take_over(
    connection: AnyConnection,
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


async def renew(connection: AnyConnection, owner: Owner, holdings: Sequence[Holding]) -> set[UUID]:
    """Extend the leases of these jobs; what is not in the answer is not the owner's any more."""
    rows = await connection.execute(_RENEW, _arrays(holdings) | _named(owner))
    return {row[0] for row in rows}


async def give_back(connection: AnyConnection, owner: Owner, holdings: Sequence[Holding]) -> None:
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


def _claim(rows: Sequence[Any]) -> Claim:
    jobs = tuple(Job.of(row) for row in rows)
    return Claim(jobs=jobs, at=rows[0][-1] if rows else None)
