"""A job is cancelled: here if nothing was sent yet, else by asking whoever can ask the upstream.

The wish is committed before anybody is asked, and no transaction is open while its outcome is waited for.
"""

import asyncio
from collections import Counter
from typing import assert_never
from uuid import UUID

from service.bell import Bell
from service.clock import Clock
from service.database import Connection, Database
from service.errors import NotCancellableError
from service.jobs import telling
from service.jobs.job import Job
from service.jobs.lifecycle import CANCEL, Status
from service.jobs.moved import tell_of
from service.jobs.reading import found
from service.jobs.store import moves, wishes
from service.tenants.tenant import Tenant

HOLD_SECONDS = 5.0
"""How long the caller is kept waiting for the upstream's word."""
MOST_HELD = 20
"""Callers of one tenant that this process keeps waiting at once: each looks again and again, at everybody's
cost. Further ones are answered at once."""
_FIRST_LOOK, _LONGEST_PAUSE, _GROWTH = 0.05, 0.25, 1.5
_held: Counter[UUID] = Counter()


async def cancel(
    database: Database,
    tenant: Tenant,
    job_id: UUID,
    *,
    bell: Bell,
    clock: Clock,
    public_url: str,
    hold: float,
) -> Job:
    """The job as cancelled, or with the wish still pending after `hold` seconds.

    Raises NotFoundError, and NotCancellableError when it runs or has ended otherwise.
    """
    async with database.of_tenant(tenant.id) as connection:
        before = await found(connection, tenant, job_id, lock=True)
        job = await _asked(connection, before, clock=clock, public_url=public_url)
    if job.status is Status.CANCELLED:
        if job is not before:
            tell_of(before, job, CANCEL)
            bell.ring()
        return job
    bell.ring()
    if _held[tenant.id] >= MOST_HELD:
        return await _outcome(database, tenant, job, hold=0)
    _held[tenant.id] += 1
    try:
        return await _outcome(database, tenant, job, hold=hold)
    finally:
        _held[tenant.id] -= 1
        if not _held[tenant.id]:
            del _held[tenant.id]


async def _asked(connection: Connection, job: Job, *, clock: Clock, public_url: str) -> Job:
    """What can be done about the locked job at once."""
    match job.status:
        case Status.CANCELLED:
            return job
        case Status.ACCEPTED:
            cancelled = await moves.cancel(connection, job, asked=True, now=clock())
            assert cancelled is not None, "a locked job changed its state"
            await telling.tell(connection, cancelled, CANCEL.event, public_url=public_url)
            return cancelled
        case Status.SUBMITTING | Status.IN_QUEUE:
            # None: somebody has asked already, and the answer to them is the answer to us.
            return await wishes.request(connection, job, now=clock()) or job
        case Status.IN_PROGRESS | Status.COMPLETED | Status.FAILED | Status.EXPIRED:
            raise _too_late(job)
        case _:
            assert_never(job.status)


async def _outcome(database: Database, tenant: Tenant, job: Job, *, hold: float) -> Job:
    """The job once the wish came to something, or as it is when there is no more time."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + hold, _FIRST_LOOK
    while job.cancel_outcome == "pending" and (left := until - loop.time()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)
        async with database.of_tenant(tenant.id) as connection:
            job = await found(connection, tenant, job.id)
    if job.status is Status.CANCELLED or job.cancel_outcome == "pending":
        return job
    raise _too_late(job)


def _too_late(job: Job) -> NotCancellableError:
    if job.has_ended:
        return NotCancellableError(f"The job has ended: it is {job.status}.")
    return NotCancellableError(f"The upstream does not cancel the job any more: it is {job.status}.")
