"""Accepting a request, whichever interface it came through, with or without an `Idempotency-Key`."""

from typing import Any, TypeAlias

from litestar import Request

from service.api.headers import only
from service.api.parts import Parts
from service.jobs.accept import Acceptance, accept
from service.jobs.idempotency import HEADER, REPLAYED_HEADER, accept_once, once
from service.tenants.tenant import Key

Asked: TypeAlias = Request[Any, Key, Any]

_HEADER = HEADER.lower().encode()


async def accepted(request: Asked, body: object, *, interface: str) -> Acceptance:
    """The job for this body, which an interface of that name got or made."""
    parts, tenant = Parts.of(request), request.auth.tenant
    asked = parts.envelope.read(body)
    key = only(request.scope, _HEADER)
    if key is None:
        job = await accept(parts.database, tenant, asked, bell=parts.bell, clock=parts.clock)
        return Acceptance(job, delivery=None, is_new=True)
    kept = once(key, interface=interface, body=body)
    return await accept_once(parts.database, tenant, asked, kept, bell=parts.bell, clock=parts.clock)


def replayed(acceptance: Acceptance) -> dict[str, str]:
    """What the headers say of a job that its key made before."""
    return {} if acceptance.is_new else {REPLAYED_HEADER: "true"}
