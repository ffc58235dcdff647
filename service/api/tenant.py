"""The call by which a tenant sees itself."""

from typing import Any

from litestar import get

from service.api import query
from service.api.accepting import Asked
from service.api.answer import Answer
from service.api.auth import any_key
from service.api.parts import Parts
from service.clock import moment
from service.jobs.store.in_use import InUse, in_use
from service.tenants import store
from service.tenants.store import LIMITS, TenantRecord


@get("/v1/tenant", before_request=any_key)
async def show_tenant(request: Asked) -> Answer:
    """Show the tenant, its limits and what it uses of them."""
    query.nothing(request.scope["query_string"])
    tenant = request.auth.tenant
    async with Parts.of(request).database.of_tenant_at_length(tenant.id) as connection:
        found = await store.one(connection, tenant.id)
        used = await in_use(connection, tenant.id, mode=tenant.mode)
    return Answer(document(found, used=used) | {"mode": tenant.mode})


def document(tenant: TenantRecord, *, used: InUse | None = None) -> dict[str, Any]:
    """A tenant as it is shown; with `used` also what it uses."""
    own = tenant.account
    shown: dict[str, Any] = {
        "id": str(tenant.id),
        "name": tenant.name,
        "created_at": moment(tenant.created_at),
        "disabled_at": moment(tenant.disabled_at),
        "limits": {limit: getattr(tenant.limits, limit) for limit in LIMITS},
        "upstream_token": own
        and {
            "max_in_flight": own.max_in_flight,
            "trouble": own.trouble,
            "trouble_since": moment(own.trouble_since),
        },
    }
    if used is not None:
        shown["in_use"] = {name: getattr(used, name) for name in InUse.__slots__}
    return shown
