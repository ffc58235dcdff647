"""Accepting a request, through whichever interface: if there is room, and once for its `Idempotency-Key`."""

from typing import Any, TypeAlias
from uuid import UUID

from litestar import Request

from service.api.headers import only
from service.api.parts import Parts
from service.errors import QueueFullError
from service.jobs.accept import Acceptance, accept
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
    room = parts.backlog.one(tenant, limit=request.auth.limits.max_queued)
    if key is None:
        async with room:
            job = await accept(parts.database, tenant, asked, bell=parts.bell, clock=parts.clock)
        return Acceptance(job, delivery=None, is_new=True)
    kept = once(key, interface=interface, body=body)
    try:
        async with room:
            return await accept_once(parts.database, tenant, asked, kept, bell=parts.bell, clock=parts.clock)
    except QueueFullError:
        # What was accepted before needs no room.
        if (acceptance := await accepted_before(parts.database, tenant, kept)) is None:
            raise
        return acceptance


async def retried(request: Asked, job_id: UUID) -> Acceptance:
    """The retry of this job, made now or before."""
    parts, tenant = Parts.of(request), request.auth.tenant
    try:
        async with parts.backlog.one(tenant, limit=request.auth.limits.max_queued):
            return await retry(parts.database, tenant, job_id, bell=parts.bell, clock=parts.clock)
    except QueueFullError:
        if (acceptance := await retried_before(parts.database, tenant, job_id)) is None:
            raise
        return acceptance


def replayed(acceptance: Acceptance) -> dict[str, str]:
    """What the headers say of a job that its key made before."""
    return {} if acceptance.is_new else {REPLAYED_HEADER: "true"}
