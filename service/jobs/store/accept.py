"""The one statement that accepts a job: the row and the first entry of its timeline, or nothing.

It runs on the driver's own connection, because it is the most frequent one of the API and its cost is
promised: as a SQLAlchemy statement it takes two to three times the CPU.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from service.jobs.lifecycle import ACCEPTED_EVENT, Status
from service.jobs.models import PRIORITIES
from service.jobs.request import Request
from service.jobs.store.table import encoded
from service.tenants.tenant import Tenant

_ACCEPT = f"""
WITH job AS (
    INSERT INTO jobs (
        id, tenant_id, mode, model, input, warnings, callback_url, callback_events,
        external_id, metadata, priority, on_unconfirmed, status, created_at, due_at, expires_at)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '{Status.ACCEPTED}',
           clock.now, clock.now, clock.now + $13::float8 * interval '1 second'
    FROM (SELECT coalesce($14::timestamptz, clock_timestamp()) AS now) AS clock
    RETURNING id, tenant_id, created_at, expires_at
), entry AS (
    INSERT INTO job_events (job_id, sequence, tenant_id, type, at, data)
    SELECT id, 1, tenant_id, '{ACCEPTED_EVENT}', created_at, '{{}}' FROM job
)
SELECT created_at, expires_at FROM job
"""


async def accept(
    driver: Any, tenant: Tenant, job_id: UUID, request: Request, *, now: datetime | None
) -> tuple[datetime, datetime]:
    """Store the job; returns when it was accepted and when it expires."""
    row = await driver.fetchrow(
        _ACCEPT,
        job_id,
        tenant.id,
        tenant.mode,
        request.model,
        encoded(request.input),
        encoded(request.warnings),
        request.callback_url,
        request.callback_events,
        request.external_id,
        encoded(request.metadata),
        PRIORITIES.index(request.priority),
        request.on_unconfirmed,
        float(request.expires_in),
        now,
    )
    return row["created_at"], row["expires_at"]
