"""How many of a tenant's jobs wait here, of both modes: counted along the index of just those."""

from sqlalchemy import text

from service.database import Connection
from service.jobs.lifecycle import Status
from service.tenants.tenant import Tenant

_WAITING = text(
    f"""
    SELECT count(*) FROM (
        SELECT FROM jobs WHERE tenant_id = :tenant AND status = '{Status.ACCEPTED}' LIMIT :most
    ) AS waiting
    """
)


async def waiting(connection: Connection, tenant: Tenant, *, most: int) -> int:
    """How many there are, counted to `most`."""
    return int((await connection.execute(_WAITING, {"tenant": tenant.id, "most": most})).scalar_one())
