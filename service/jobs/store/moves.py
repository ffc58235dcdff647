"""Every change of a job's state: one UPDATE guarded by the states it may leave, and its timeline entry.

A function of this module makes a move at once, and answers the job as it is after it, or None when the guard
refused: the job is elsewhere by now, and the caller has nothing to say about it any more. `function.of` is
the `Write` alone, to be made together with others.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy.sql.selectable import TextualSelect

from service.jobs.job import Job, JobError
from service.jobs.lifecycle import CANCEL, COMPLETE, EXPIRE, FAIL, INTEND, PUT_BACK, START, TAKE, Move, Status
from service.jobs.models import states
from service.jobs.store.claims import Owner
from service.jobs.store.table import COLUMNS, encoded, returning_jobs
from service.jobs.store.writing import Making, Write

_LEASE = "clock_timestamp() + given.lease * interval '1 second'"
_NOBODYS = "owner = NULL, lease_until = NULL"

# What each job brings along, by type. An array of each is a parameter.
_TYPES = {
    "id": "uuid",
    "data": "text",
    "epoch": "int",
    "submit": "int",
    "lease": "float8",
    "now": "timestamptz",
    "wait": "float8",
    "waiting_for": "text",
    "refusals": "int",
    "unconfirmed": "int",
    "upstream_id": "text",
    "output": "text",
    "error": "text",
    "asked": "bool",
    "cancelled": "bool",
    "cancel_outcome": "text",
    "cost": "numeric",
    "cost_wait": "float8",
}

BY_EPOCH = "jobs.epoch = given.epoch"
"""The guard of an owner: nobody claimed the job since."""
BY_SUBMIT = "submits = given.submit"
"""The guard of an answer to a submit: this submit still waits for it, whoever owns the job."""
BY_STATE = "TRUE"
"""No guard but the state: for what is true whoever owns the job, such as the upstream's word."""


def _statement(move: Move, given: str, sets: str, *, guard: str) -> TextualSelect:
    names = ["id", "data", *given.split()]
    arrays = ", ".join(f"CAST(:{name} AS {_TYPES[name]}[])" for name in names)
    # Read once, so that all times of a move are the same.
    read = ", ".join("coalesce(now, clock_timestamp()) AS now" if name == "now" else name for name in names)
    return returning_jobs(
        f"""
        WITH given AS (
            SELECT {read} FROM unnest({arrays}) AS given ({", ".join(names)})
        ), moved AS (
            UPDATE jobs SET status = '{move.reaches}', sequence = sequence + 1, {sets}
            FROM given
            WHERE jobs.id = given.id AND status IN ({states(move.leaves)}) AND {guard}
            RETURNING {COLUMNS}, given.data
        ), entry AS (
            INSERT INTO job_events (job_id, sequence, tenant_id, type, data)
            SELECT id, sequence, tenant_id, '{move.event}', CAST(data AS json) FROM moved
        )
        SELECT {COLUMNS} FROM moved AS jobs
        """
    )


_INTEND = _statement(
    INTEND,
    "epoch lease",
    f"submits = submits + 1, intent_at = clock_timestamp(), lease_until = {_LEASE}",
    # The lease too: a claimed job whose lease ran out holds no place any more.
    guard=f"{BY_EPOCH} AND lease_until > clock_timestamp()",
)
_PUT_BACK = _statement(
    PUT_BACK,
    "submit wait waiting_for refusals unconfirmed now",
    f"{_NOBODYS}, token_id = NULL, due_at = given.now + given.wait * interval '1 second',"
    " waiting_for = given.waiting_for, refusals = given.refusals,"
    " unconfirmed = jobs.unconfirmed + given.unconfirmed",
    guard=BY_SUBMIT,
)
_TAKE = _statement(
    TAKE,
    "submit upstream_id lease",
    "upstream_id = given.upstream_id, submitted_at = clock_timestamp(), refusals = 0,"
    f" lease_until = {_LEASE}",
    guard=BY_SUBMIT,
)
_START = _statement(START, "epoch", "started_at = clock_timestamp(), queue_position = NULL", guard=BY_EPOCH)

_ENDED = (
    f"{_NOBODYS}, finished_at = given.now, queue_position = NULL, waiting_for = NULL, cancel_due_at = NULL"
)
_ENDED_OTHERWISE = (
    f"{_ENDED}, cancel_outcome = CASE WHEN cancel_requested_at IS NOT NULL THEN 'not_cancellable' END"
)
_COST_DUE = "cost_due_at = given.now + given.cost_wait * interval '1 second'"
_COST = f"cost_usd = given.cost, {_COST_DUE}"
_COMPLETE = _statement(
    COMPLETE,
    "epoch output cost cost_wait now",
    f"{_ENDED_OTHERWISE}, output = CAST(given.output AS json), {_COST}",
    guard=BY_EPOCH,
)
_FAIL_SUBMIT = _statement(
    FAIL,
    "submit error unconfirmed now",
    f"{_ENDED_OTHERWISE}, error = CAST(given.error AS json),"
    " unconfirmed = jobs.unconfirmed + given.unconfirmed",
    guard=BY_SUBMIT,
)
_FAIL = _statement(
    FAIL,
    "epoch error cost cost_wait now",
    f"{_ENDED_OTHERWISE}, error = CAST(given.error AS json), {_COST}",
    guard=BY_EPOCH,
)
_CANCEL = _statement(
    CANCEL,
    "asked now",
    f"{_ENDED},"
    " cancel_outcome = CASE WHEN given.asked OR cancel_requested_at IS NOT NULL THEN 'cancelled' END,"
    f" cancel_requested_at = coalesce(cancel_requested_at, CASE WHEN given.asked THEN given.now END)",
    guard=BY_STATE,
)
_EXPIRE = _statement(
    EXPIRE,
    "epoch error cancelled cancel_outcome cost_wait now",
    f"{_ENDED}, error = CAST(given.error AS json), {_COST_DUE},"
    # Taken out of the upstream's queue again, the only submit that was taken has cost nothing.
    " cost_usd = CASE WHEN given.cancelled AND unconfirmed = 0 THEN 0 ELSE cost_usd END,"
    " cancel_outcome = CASE WHEN cancel_requested_at IS NOT NULL THEN given.cancel_outcome END",
    guard=BY_EPOCH,
)


@Making
def intend(job: Job, owner: Owner) -> Write:
    """Commit that a submit is about to leave; the caller sends only after the commit."""
    return _write(_INTEND, job, {"submit": job.submits + 1}, epoch=job.epoch, lease=owner.lease)


@Making
def take(job: Job, owner: Owner, *, upstream_id: str) -> Write:
    """Keep the id under which the upstream took this submit."""
    data = {"upstream_request_id": upstream_id}
    return _write(_TAKE, job, data, submit=job.submits, upstream_id=upstream_id, lease=owner.lease)


@Making
def put_back(job: Job, *, reason: str, waiting_for: str, wait: float, unconfirmed: bool, now: Any) -> Write:
    """Wait `wait` seconds for another submit: this one was not taken or, if `unconfirmed`, nobody knows."""
    data = {"submit": job.submits, "reason": reason, "wait_seconds": round(wait, 3)}
    data |= {"unconfirmed": unconfirmed}
    refusals = 0 if unconfirmed else job.refusals + 1
    given = {"wait": wait, "waiting_for": waiting_for, "refusals": refusals, "unconfirmed": int(unconfirmed)}
    return _write(_PUT_BACK, job, data, **given, submit=job.submits, now=now)


@Making
def start(job: Job) -> Write:
    """The upstream began to work on it."""
    return _write(_START, job, {}, epoch=job.epoch)


@Making
def complete(
    job: Job, *, output: dict[str, Any], cost: Decimal | None = None, cost_wait: float | None = None, now: Any
) -> Write:
    """End it with its output, and what it cost; else that is asked for again after `cost_wait` seconds."""
    given = {"output": encoded(output), "cost": cost, "cost_wait": cost_wait}
    return _write(_COMPLETE, job, {}, **given, epoch=job.epoch, now=now)


@Making
def fail_submit(job: Job, *, error: JobError, unconfirmed: bool, now: Any) -> Write:
    """End it by what became of its submit: refused or, if `unconfirmed`, nobody knows."""
    document = error.document()
    given = {"error": encoded(document), "submit": job.submits, "unconfirmed": int(unconfirmed), "now": now}
    return _write(_FAIL_SUBMIT, job, {"error": document}, **given)


@Making
def fail(
    job: Job, *, error: JobError, cost: Decimal | None = None, cost_wait: float | None = None, now: Any
) -> Write:
    """End it by what the upstream says of it; the cost as in `complete`."""
    document = error.document()
    given = {"error": encoded(document), "cost": cost, "cost_wait": cost_wait}
    return _write(_FAIL, job, {"error": document}, **given, epoch=job.epoch, now=now)


@Making
def cancel(job: Job, *, asked: bool, now: Any) -> Write:
    """End it as cancelled: nothing was sent, or the upstream says so. `asked` notes a wish made just now."""
    return _write(_CANCEL, job, {}, asked=asked, now=now)


@Making
def expire(job: Job, *, error: JobError, cancelled: bool, cost_wait: float | None = None, now: Any) -> Write:
    """End it at its deadline; `cancelled` if the upstream took it out of its queue."""
    document = error.document()
    outcome = "cancelled" if cancelled or job.status is Status.ACCEPTED else "not_cancellable"
    given = {"error": encoded(document), "cancel_outcome": outcome, "cost_wait": cost_wait}
    given |= {"cancelled": cancelled, "epoch": job.epoch, "now": now}
    return _write(_EXPIRE, job, {"error": document}, **given)


def _write(statement: TextualSelect, job: Job, data: dict[str, Any], **given: Any) -> Write:
    return Write(job, statement, {"id": job.id, "data": encoded(data)} | given)
