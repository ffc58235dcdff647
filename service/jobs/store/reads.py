"""What callers read. Every query begins at a tenant."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.database import Connection
from service.jobs.job import Job
from service.jobs.store.table import ENTRIES, JOBS, KEYS
from service.tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry on a job's timeline."""

    sequence: int
    type: str
    at: datetime
    data: dict[str, Any]


async def find(connection: Connection, tenant: Tenant, job_id: UUID, *, lock: bool = False) -> Job | None:
    """The tenant's job of that id; `lock` keeps others from changing it until the transaction ends."""
    query = tenant.rows(JOBS).where(JOBS.c.id == job_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else Job.of(row)


async def used_key(connection: Connection, tenant: Tenant, key: str) -> tuple[bytes, UUID]:
    """What the tenant's idempotency key stands for: the fingerprint of a request and the job it made."""
    row = (
        await connection.execute(
            tenant.rows(KEYS, KEYS.c.fingerprint, KEYS.c.job_id).where(KEYS.c.key == key)
        )
    ).one()
    return row.fingerprint, row.job_id


async def retry_of(connection: Connection, tenant: Tenant, job_id: UUID) -> UUID:
    """The id of the job's retry, which there is."""
    query = tenant.rows(JOBS, JOBS.c.id).where(JOBS.c.retry_of == job_id)
    retry_id: UUID = (await connection.execute(query)).scalar_one()
    return retry_id


async def timeline(connection: Connection, tenant: Tenant, job_id: UUID) -> list[Entry]:
    """The job's timeline, oldest first; empty for a job that is not the tenant's."""
    columns = (ENTRIES.c.sequence, ENTRIES.c.type, ENTRIES.c.at, ENTRIES.c.data)
    query = tenant.rows(ENTRIES, *columns).where(ENTRIES.c.job_id == job_id).order_by(ENTRIES.c.sequence)
    return [Entry(*row) for row in await connection.execute(query)]
