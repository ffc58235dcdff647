"""Accepting a request, through whichever interface: if there is room, and once for its `Idempotency-Key`."""

from typing import Any, TypeAlias
from uuid import UUID

from litestar import Request

from service.api.headers import only
from service.api.parts import Parts
from service.jobs.accept import Acceptance, accept
from service.jobs.backlog import full
from service.jobs.idempotency import HEADER, REPLAYED_HEADER, accept_once, accepted_before, once
from service.jobs.retry import retried_before, retry
from service.tenants.tenant import Key

Asked: TypeAlias = Request[Any, Key, Any]

_HEADER = HEADER.lower().encode()


async def accepted(request: Asked, body: object, *, interface: str) -> Acceptance:
    """The job for this body, which an interface of that name got or made."""
    parts, tenant = Parts.of(request), request.auth.tenant
    asked = parts.envelope.read(body)
    key = only(request.scope, _HEADER)
    limit = request.auth.limits.max_queued
    if key is None:
        async with parts.backlog.room(tenant, limit=limit) as room:
            if not room:
                raise full(limit)
            job = await accept(parts.database, tenant, asked, bell=parts.bell, clock=parts.clock)
        return Acceptance(job, delivery=None, is_new=True)
    kept = once(key, interface=interface, body=body)
    async with parts.backlog.room(tenant, limit=limit) as room:
        if room:
            return await accept_once(parts.database, tenant, asked, kept, bell=parts.bell, clock=parts.clock)
    # What was accepted before needs no room.
    if (acceptance := await accepted_before(parts.database, tenant, kept)) is None:
        raise full(limit)
    return acceptance


async def retried(request: Asked, job_id: UUID) -> Acceptance:
    """The retry of this job, made now or before."""
    parts, tenant, limit = Parts.of(request), request.auth.tenant, request.auth.limits.max_queued
    async with parts.backlog.room(tenant, limit=limit) as room:
        if room:
            return await retry(parts.database, tenant, job_id, bell=parts.bell, clock=parts.clock)
    if (acceptance := await retried_before(parts.database, tenant, job_id)) is None:
        raise full(limit)
    return acceptance


def replayed(acceptance: Acceptance) -> dict[str, str]:
    """What the headers say of a job that its key made before."""
    return {} if acceptance.is_new else {REPLAYED_HEADER: "true"}
