"""A job is deleted: what it was about and what came of it are gone, and a tombstone says that there was one.

The tombstone keeps status, times, the upstream's id and the cost, so that what was paid for can be accounted
for. To callers it is not there any more, and its idempotency key still makes no second job.
"""

from uuid import UUID

from service.clock import Clock
from service.database import Database
from service.errors import NotDeletableError, NotFoundError
from service.jobs.store import deletion, reads
from service.tenants.tenant import Tenant
from service.webhooks.store import erasure


async def delete(database: Database, tenant: Tenant, job_id: UUID, *, clock: Clock) -> None:
    """Delete the ended job; again is no error, since whoever lost the answer has to ask again.

    Raises NotFoundError, and NotDeletableError while the job lives.
    """
    async with database.of_tenant(tenant.id) as connection:
        job = await reads.find(connection, tenant, job_id, lock=True)
        if job is None:
            raise NotFoundError(f"There is no job {job_id}.")
        if job.deleted_at is not None:
            return
        if not job.has_ended:
            raise NotDeletableError(f"Only a job that has ended can be deleted: it is {job.status}.")
        now = clock()
        await deletion.bury(connection, job, now=now)
        await erasure.erase(connection, tenant, job_id, now=now)
