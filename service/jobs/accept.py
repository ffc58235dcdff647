"""A job is accepted: stored once and for all, then the bell is rung.

The answer 202 means that the commit is done. Where Postgres was lost in between, nobody can say whether
the job is there, and the caller is told just that: asking again could pay twice.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from service.clock import Clock
from service.database import Database, is_outage
from service.errors import AcceptanceUnknownError, UnavailableError
from service.ids import uuid7
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.models import PRIORITIES
from service.jobs.request import Request
from service.jobs.store.accept import Once
from service.jobs.store.accept import accept as store
from service.telemetry import metrics
from service.tenants.tenant import Tenant
from service.webhooks.store import Progress


class Bell(Protocol):
    """What tells the workers that there is something to do."""

    def ring(self) -> None:
        """Never fails and never waits: a bell that was not heard costs a moment, not a job."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A job that was accepted just now or, where the same was asked for before, then."""

    job: Job
    delivery: Progress | None
    is_new: bool


async def accept(database: Database, tenant: Tenant, request: Request, *, bell: Bell, clock: Clock) -> Job:
    """Store the job and ring. Raises AcceptanceUnknownError when Postgres was lost with the statement."""
    job = await accept_unless_there(database, tenant, request, bell=bell, clock=clock)
    assert job is not None, "nothing was named that could be there already"
    return job


async def accept_unless_there(
    database: Database,
    tenant: Tenant,
    request: Request,
    *,
    once: Once | None = None,
    retry_of: UUID | None = None,
    bell: Bell,
    clock: Clock,
) -> Job | None:
    """The same, but None if the key was used before, or if the job `retry_of` was retried before.

    What names either can be asked for again without harm, so losing Postgres is an UnavailableError then.
    """
    job_id = uuid7()
    sent = False
    try:
        async with database.driver() as driver:
            sent = True
            times = await store(driver, tenant, job_id, request, now=clock(), once=once, retry_of=retry_of)
    except Exception as error:
        if not (sent and is_outage(error)):
            raise
        raise lost(job_id, repeatable=once is not None or retry_of is not None) from error
    if times is None:
        return None
    metrics.ACCEPTED.labels(request.model).inc()
    bell.ring()
    created_at, expires_at = times
    return stored(job_id, tenant, request, retry_of=retry_of, created_at=created_at, expires_at=expires_at)


def lost(job_id: UUID, *, repeatable: bool) -> UnavailableError:
    """What is said when Postgres was lost with a job; `repeatable` if asking again makes no second one."""
    lost = "The database was lost while the job was being stored, so it was accepted or it was not."
    if repeatable:
        return UnavailableError(f"{lost} Ask again: that makes no second one.", retry_after=1)
    return AcceptanceUnknownError(
        f"{lost} If it was, its id is {job_id}: look for that before you ask again.", retry_after=1
    )


def stored(
    job_id: UUID,
    tenant: Tenant,
    request: Request,
    *,
    retry_of: UUID | None = None,
    created_at: datetime,
    expires_at: datetime,
) -> Job:
    """The job as its row is now: reading it back would double the cost of accepting it."""
    return Job(
        id=job_id,
        tenant_id=tenant.id,
        mode=tenant.mode,
        model=request.model,
        input=request.input,
        warnings=request.warnings,
        callback_url=request.callback_url,
        callback_events=request.callback_events,
        external_id=request.external_id,
        metadata=request.metadata,
        priority=PRIORITIES.index(request.priority),
        on_unconfirmed=request.on_unconfirmed,
        retry_of=retry_of,
        status=Status.ACCEPTED,
        sequence=1,
        owner=None,
        lease_until=None,
        epoch=0,
        due_at=created_at,
        waiting_for=None,
        submits=0,
        unconfirmed=0,
        refusals=0,
        intent_at=None,
        token_id=None,
        upstream_id=None,
        queue_position=None,
        cancel_requested_at=None,
        cancel_outcome=None,
        cancel_due_at=None,
        output=None,
        error=None,
        cost_usd=None,
        cost_due_at=None,
        created_at=created_at,
        submitted_at=None,
        started_at=None,
        finished_at=None,
        expires_at=expires_at,
        deleted_at=None,
    )
