"""What callers read. Every query begins at a tenant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.database import Connection
from service.jobs.job import Job
from service.jobs.store.table import ENTRIES, JOBS, KEYS
from service.tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class UsedKey:
    """What an idempotency key stands for: the fingerprint of a request and the job it made."""

    fingerprint: bytes
    job_id: UUID


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


async def several(connection: Connection, tenant: Tenant, job_ids: Sequence[UUID]) -> list[Job]:
    """The tenant's jobs of these ids, in no order."""
    rows = await connection.execute(tenant.rows(JOBS).where(JOBS.c.id.in_(job_ids)))
    return [Job.of(row) for row in rows]


async def used_keys(connection: Connection, tenant: Tenant, keys: Sequence[str]) -> dict[str, UsedKey]:
    """What these idempotency keys of the tenant stand for, of those that stand for anything."""
    query = tenant.rows(KEYS, KEYS.c.key, KEYS.c.fingerprint, KEYS.c.job_id).where(KEYS.c.key.in_(keys))
    return {row.key: UsedKey(row.fingerprint, row.job_id) for row in await connection.execute(query)}


async def retry_of(connection: Connection, tenant: Tenant, job_id: UUID) -> UUID | None:
    """The id of the job's retry, if there is one."""
    query = tenant.rows(JOBS, JOBS.c.id).where(JOBS.c.retry_of == job_id)
    retry_id: UUID | None = (await connection.execute(query)).scalar_one_or_none()
    return retry_id


async def timeline(connection: Connection, tenant: Tenant, job_id: UUID) -> list[Entry]:
    """The job's timeline, oldest first; empty for a job that is not the tenant's."""
    columns = (ENTRIES.c.sequence, ENTRIES.c.type, ENTRIES.c.at, ENTRIES.c.data)
    query = tenant.rows(ENTRIES, *columns).where(ENTRIES.c.job_id == job_id).order_by(ENTRIES.c.sequence)
    return [Entry(*row) for row in await connection.execute(query)]
