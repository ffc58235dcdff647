"""Accepting many jobs of one tenant by one statement: each is stored, or its key has stored one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from service.database import AnyConnection
from service.database.base import NOW
from service.jobs.lifecycle import ACCEPTED_EVENT, Status
from service.jobs.models import PRIORITIES
from service.jobs.request import Request
from service.jobs.store.accept import KEPT_SECONDS, Once
from service.jobs.store.table import encoded
from service.tenants.tenant import Tenant

# Keys are taken in their own order, so that of two batches with the same ones one waits for the other. What
# is inserted comes from the clock's row, so the tenant is set when row-level security looks.
_ACCEPT = text(
    f"""
    WITH clock AS MATERIALIZED (
        SELECT {NOW} AS now,
               set_config('app.tenant', CAST(CAST(:tenant AS uuid) AS text), true) AS tenant
    ), item AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:models AS text[]), CAST(:inputs AS text[]), CAST(:warnings AS text[]),
            CAST(:urls AS text[]), CAST(:events AS text[]), CAST(:names AS text[]), CAST(:metadata AS text[]),
            CAST(:priorities AS int[]), CAST(:unconfirmed AS text[]), CAST(:lives AS float8[]),
            CAST(:keys AS text[]), CAST(:fingerprints AS bytea[])
        ) AS item (id, model, input, warnings, url, events, name, metadata, priority, unconfirmed, life,
                   key, fingerprint)
    ), key AS (
        INSERT INTO idempotency_keys AS known (tenant_id, mode, key, fingerprint, job_id, created_at)
        SELECT CAST(:tenant AS uuid), CAST(:mode AS text), item.key, item.fingerprint, item.id, clock.now
        FROM clock, item
        WHERE item.key IS NOT NULL ORDER BY item.key
        ON CONFLICT (tenant_id, mode, key) DO UPDATE
            SET fingerprint = excluded.fingerprint, job_id = excluded.job_id,
                created_at = excluded.created_at
            WHERE known.created_at <= excluded.created_at - interval '{KEPT_SECONDS} seconds'
        RETURNING job_id
    ), job AS (
        INSERT INTO jobs (
            id, tenant_id, mode, model, input, warnings, callback_url, callback_events,
            external_id, metadata, priority, on_unconfirmed, status, created_at, due_at, expires_at)
        SELECT item.id, CAST(:tenant AS uuid), CAST(:mode AS text), item.model,
               CAST(item.input AS json), CAST(item.warnings AS json),
               item.url, ARRAY(SELECT json_array_elements_text(CAST(item.events AS json))), item.name,
               CAST(item.metadata AS json), item.priority, item.unconfirmed, '{Status.ACCEPTED}',
               clock.now, clock.now, clock.now + item.life * interval '1 second'
        FROM clock, item
        WHERE item.key IS NULL OR item.id IN (SELECT job_id FROM key)
        RETURNING id, tenant_id, mode, metadata, created_at, expires_at
    ), entry AS (
        INSERT INTO job_events (job_id, sequence, tenant_id, type, at, data)
        SELECT id, 1, tenant_id, '{ACCEPTED_EVENT}', created_at, '{{}}' FROM job
    ), label AS (
        INSERT INTO job_labels (job_id, key, value, tenant_id, mode)
        SELECT job.id, pair.key, pair.value, job.tenant_id, job.mode
        FROM job CROSS JOIN json_each_text(job.metadata) AS pair
    )
    SELECT id, created_at, expires_at FROM job
    """
)


@dataclass(frozen=True, slots=True)
class Named:
    """A request with the id that its job will have, and the key it is accepted once for, if any."""

    id: UUID
    request: Request
    once: Once | None


async def accept(
    connection: AnyConnection, tenant: Tenant, items: Sequence[Named], *, now: datetime | None
) -> dict[UUID, tuple[datetime, datetime]]:
    """Store these, of which no two have the same key; returns when each was accepted and when it expires.

    What is not in the answer was not stored: there is a job for its key already.
    """
    requests = [item.request for item in items]
    given: dict[str, Any] = {
        "tenant": tenant.id,
        "mode": tenant.mode,
        "now": now,
        "ids": [item.id for item in items],
        "models": [request.model for request in requests],
        "inputs": [encoded(request.input) for request in requests],
        "warnings": [encoded(request.warnings) for request in requests],
        "urls": [request.callback_url for request in requests],
        "events": [encoded(request.callback_events) for request in requests],
        "names": [request.external_id for request in requests],
        "metadata": [encoded(request.metadata) for request in requests],
        "priorities": [PRIORITIES.index(request.priority) for request in requests],
        "unconfirmed": [request.on_unconfirmed for request in requests],
        "lives": [float(request.expires_in) for request in requests],
        "keys": [item.once and item.once.key for item in items],
        "fingerprints": [item.once and item.once.fingerprint for item in items],
    }
    rows = await connection.execute(_ACCEPT, given)
    return {job_id: (created_at, expires_at) for job_id, created_at, expires_at in rows}
