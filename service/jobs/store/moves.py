"""Every change of a job's state: one UPDATE guarded by the states it may leave, and its timeline entry.

A function answers the job as it is after the move, or None when the guard refused: the job is elsewhere
by now, and the caller has nothing to say about it any more.
"""

from typing import Any

from sqlalchemy.sql.selectable import TextualSelect

from service.database import AnyConnection
from service.jobs.job import Job, JobError
from service.jobs.lifecycle import CANCEL, COMPLETE, EXPIRE, FAIL, INTEND, PUT_BACK, START, TAKE, Move, Status
from service.jobs.store.claims import Owner
from service.jobs.store.table import COLUMNS, NOW, encoded, returning_jobs, states

_LEASE = "clock_timestamp() + CAST(:lease AS float8) * interval '1 second'"
_NOBODYS = "owner = NULL, lease_until = NULL"

BY_EPOCH = "epoch = :epoch"
"""The guard of an owner: nobody claimed the job since."""
BY_SUBMIT = "submits = :submit"
"""The guard of an answer to a submit: this submit still waits for it, whoever owns the job."""
BY_STATE = "TRUE"
"""No guard but the state: for what is true whoever owns the job, such as the upstream's word."""


def _statement(move: Move, sets: str, *, guard: str) -> TextualSelect:
    return returning_jobs(
        f"""
        WITH moved AS (
            UPDATE jobs SET status = '{move.reaches}', sequence = sequence + 1, {sets}
            WHERE id = :id AND status IN ({states(move.leaves)}) AND {guard}
            RETURNING {COLUMNS}
        ), entry AS (
            INSERT INTO job_events (job_id, sequence, tenant_id, type, data)
            SELECT id, sequence, tenant_id, '{move.event}', CAST(:data AS json) FROM moved
        )
        SELECT * FROM moved
        """
    )


_INTEND = _statement(
    INTEND,
    f"submits = submits + 1, intent_at = clock_timestamp(), lease_until = {_LEASE}",
    # The lease too: a claimed job whose lease ran out holds no place any more.
    guard=f"{BY_EPOCH} AND lease_until > clock_timestamp()",
)
_PUT_BACK = _statement(
    PUT_BACK,
    f"{_NOBODYS}, token_id = NULL, due_at = {NOW} + CAST(:wait AS float8) * interval '1 second',"
    " waiting_for = :waiting_for, refusals = :refusals, unconfirmed = unconfirmed + :unconfirmed",
    guard=BY_SUBMIT,
)
_TAKE = _statement(
    TAKE,
    f"upstream_id = :upstream_id, submitted_at = clock_timestamp(), refusals = 0, lease_until = {_LEASE}",
    guard=BY_SUBMIT,
)
_START = _statement(START, "started_at = clock_timestamp(), queue_position = NULL", guard=BY_EPOCH)

_ENDED = f"{_NOBODYS}, finished_at = {NOW}, queue_position = NULL, waiting_for = NULL, cancel_due_at = NULL"
_ENDED_OTHERWISE = (
    f"{_ENDED}, cancel_outcome = CASE WHEN cancel_requested_at IS NOT NULL THEN 'not_cancellable' END"
)


def _fail(guard: str) -> TextualSelect:
    sets = f"{_ENDED_OTHERWISE}, error = CAST(:error AS json), unconfirmed = unconfirmed + :unconfirmed"
    return _statement(FAIL, sets, guard=guard)


_COMPLETE = _statement(COMPLETE, f"{_ENDED_OTHERWISE}, output = CAST(:output AS json)", guard=BY_EPOCH)
_FAIL_SUBMIT = _fail(BY_SUBMIT)
_FAIL = _fail(BY_EPOCH)
_CANCEL = _statement(
    CANCEL,
    f"{_ENDED}, cancel_outcome = CASE WHEN :asked OR cancel_requested_at IS NOT NULL THEN 'cancelled' END,"
    f" cancel_requested_at = coalesce(cancel_requested_at, CASE WHEN :asked THEN {NOW} END)",
    guard=BY_STATE,
)
_EXPIRE = _statement(
    EXPIRE,
    f"{_ENDED}, error = CAST(:error AS json),"
    # Taken out of the upstream's queue again, the only submit that was taken has cost nothing.
    " cost_usd = CASE WHEN :cancelled AND unconfirmed = 0 THEN 0 ELSE cost_usd END,"
    " cancel_outcome = CASE WHEN cancel_requested_at IS NOT NULL THEN :cancel_outcome END",
    guard=BY_EPOCH,
)


async def intend(connection: AnyConnection, job: Job, owner: Owner) -> Job | None:
    """Commit that a submit is about to leave; the caller sends only after the commit."""
    data = {"submit": job.submits + 1}
    return await _run(connection, _INTEND, job, data, epoch=job.epoch, lease=owner.lease)


async def take(connection: AnyConnection, job: Job, owner: Owner, *, upstream_id: str) -> Job | None:
    """Keep the id under which the upstream took this submit."""
    data = {"upstream_request_id": upstream_id}
    given = {"upstream_id": upstream_id, "submit": job.submits, "lease": owner.lease}
    return await _run(connection, _TAKE, job, data, **given)


async def put_back(
    connection: AnyConnection,
    job: Job,
    *,
    reason: str,
    waiting_for: str,
    wait: float,
    unconfirmed: bool,
    now: Any,
) -> Job | None:
    """Wait `wait` seconds for another submit: this one was not taken or, if `unconfirmed`, nobody knows."""
    data = {
        "submit": job.submits,
        "reason": reason,
        "wait_seconds": round(wait, 3),
        "unconfirmed": unconfirmed,
    }
    refusals = 0 if unconfirmed else job.refusals + 1
    given = {"wait": wait, "waiting_for": waiting_for, "refusals": refusals, "unconfirmed": int(unconfirmed)}
    return await _run(connection, _PUT_BACK, job, data, **given, submit=job.submits, now=now)


async def start(connection: AnyConnection, job: Job) -> Job | None:
    """The upstream began to work on it."""
    return await _run(connection, _START, job, {}, epoch=job.epoch)


async def complete(connection: AnyConnection, job: Job, *, output: dict[str, Any], now: Any) -> Job | None:
    """End it with its output."""
    return await _run(connection, _COMPLETE, job, {}, output=encoded(output), epoch=job.epoch, now=now)


async def fail_submit(
    connection: AnyConnection, job: Job, *, error: JobError, unconfirmed: bool, now: Any
) -> Job | None:
    """End it by what became of its submit: refused or, if `unconfirmed`, nobody knows."""
    document = error.document()
    given = {"error": encoded(document), "submit": job.submits, "unconfirmed": int(unconfirmed), "now": now}
    return await _run(connection, _FAIL_SUBMIT, job, {"error": document}, **given)


async def fail(connection: AnyConnection, job: Job, *, error: JobError, now: Any) -> Job | None:
    """End it by what the upstream says of it."""
    document = error.document()
    given = {"error": encoded(document), "epoch": job.epoch, "unconfirmed": 0, "now": now}
    return await _run(connection, _FAIL, job, {"error": document}, **given)


async def cancel(connection: AnyConnection, job: Job, *, asked: bool, now: Any) -> Job | None:
    """End it as cancelled: nothing was sent, or the upstream says so. `asked` notes a wish made just now."""
    return await _run(connection, _CANCEL, job, {}, asked=asked, now=now)


async def expire(
    connection: AnyConnection, job: Job, *, error: JobError, cancelled: bool, now: Any
) -> Job | None:
    """End it at its deadline; `cancelled` if the upstream took it out of its queue."""
    document = error.document()
    outcome = "cancelled" if cancelled or job.status is Status.ACCEPTED else "not_cancellable"
    given = {
        "error": encoded(document),
        "cancelled": cancelled,
        "cancel_outcome": outcome,
        "epoch": job.epoch,
        "now": now,
    }
    return await _run(connection, _EXPIRE, job, {"error": document}, **given)


async def _run(
    connection: AnyConnection, statement: TextualSelect, job: Job, data: dict[str, Any], **given: Any
) -> Job | None:
    rows = await connection.execute(statement, {"id": job.id, "data": encoded(data)} | given)
    row = rows.one_or_none()
    return None if row is None else Job.of(row)
