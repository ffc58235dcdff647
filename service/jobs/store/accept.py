"""The one statement that accepts a job: the row and the first entry of its timeline, or nothing.

It runs on the driver's own connection, because it is the most frequent one of the API and its cost is
promised: as a SQLAlchemy statement it takes two to three times the CPU. What a job does not need, labels
or an idempotency key, is not in its statement either. It names its tenant to row-level security by itself.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from service.jobs.lifecycle import ACCEPTED_EVENT, Status
from service.jobs.models import PRIORITIES
from service.jobs.request import Request
from service.jobs.store.table import encoded
from service.tenants.tenant import Tenant

KEPT_SECONDS = 24 * 60 * 60
"""For so long an idempotency key stands for the request it came with."""


@dataclass(frozen=True, slots=True)
class Once:
    """Accept this request for this key once; `fingerprint` is what tells it from other requests."""

    key: str
    fingerprint: bytes


async def accept(
    driver: Any,
    tenant: Tenant,
    job_id: UUID,
    request: Request,
    *,
    now: datetime | None,
    once: Once | None = None,
    retry_of: UUID | None = None,
) -> tuple[datetime, datetime] | None:
    """Store the job; returns when it was accepted and when it expires.

    None when there is a job for the key, or a retry of that job, already: then nothing was stored.
    """
    row = await driver.fetchrow(
        _statement(labelled=bool(request.metadata), once=once is not None, first_retry=retry_of is not None),
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
        *((once.key, once.fingerprint) if once else ()),
        *((retry_of,) if retry_of else ()),
    )
    return row and (row["created_at"], row["expires_at"])


@cache
def _statement(*, labelled: bool, once: bool, first_retry: bool) -> str:
    assert not (once and first_retry), "a retry needs no key: a job has but one"
    return f"""
WITH clock AS MATERIALIZED (
    -- Whatever is inserted is inserted for a row of this, so the tenant is set when the policies look.
    SELECT coalesce($14::timestamptz, clock_timestamp()) AS now,
           set_config('app.tenant', $2::uuid::text, true) AS tenant
){_KEY if once else ""}, job AS (
    INSERT INTO jobs (
        id, tenant_id, mode, model, input, warnings, callback_url, callback_events,
        external_id, metadata, priority, on_unconfirmed, status, created_at, due_at, expires_at
        {", retry_of" if first_retry else ""})
    SELECT $1, $2, $3, $4, $5::text::json, $6::text::json, $7, $8, $9, $10::text::json, $11, $12,
           '{Status.ACCEPTED}',
           clock.now, clock.now, clock.now + $13::float8 * interval '1 second'
           {", $15" if first_retry else ""}
    FROM clock{", key" if once else ""}
    {"ON CONFLICT (retry_of) DO NOTHING" if first_retry else ""}
    RETURNING id, tenant_id, mode, metadata, created_at, expires_at
), entry AS (
    INSERT INTO job_events (job_id, sequence, tenant_id, type, at, data)
    SELECT id, 1, tenant_id, '{ACCEPTED_EVENT}', created_at, '{{}}' FROM job
){_LABELS if labelled else ""}
SELECT created_at, expires_at FROM job
"""


# Whoever comes second waits here until the first has committed, and then finds a key that is in use.
_KEY = f"""
, key AS (
    INSERT INTO idempotency_keys AS known (tenant_id, mode, key, fingerprint, job_id, created_at)
    SELECT $2, $3, $15, $16, $1, clock.now FROM clock
    ON CONFLICT (tenant_id, mode, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, job_id = excluded.job_id, created_at = excluded.created_at
        WHERE known.created_at <= excluded.created_at - interval '{KEPT_SECONDS} seconds'
    RETURNING key
)"""
_LABELS = """
, label AS (
    INSERT INTO job_labels (job_id, key, value, tenant_id, mode)
    SELECT job.id, pair.key, pair.value, job.tenant_id, job.mode
    FROM job CROSS JOIN json_each_text(job.metadata) AS pair
)"""
