"""How many of a tenant's jobs wait here, of both modes: counted along the index of just those."""

from sqlalchemy import text

from service.database import Connection
from service.database.base import quoted
from service.jobs.lifecycle import Status
from service.tenants.keys import MODES
from service.tenants.tenant import Tenant

# Word for word what the list by status is an index of, so that it is read from that.
_WAITING = text(
    f"""
    SELECT count(*) FROM (
        SELECT FROM jobs
        WHERE tenant_id = :tenant AND mode IN ({quoted(MODES)}) AND status = '{Status.ACCEPTED}'
          AND deleted_at IS NULL
        LIMIT :most
    ) AS waiting
    """
)


async def waiting(connection: Connection, tenant: Tenant, *, most: int) -> int:
    """How many there are, counted to `most`."""
    return int((await connection.execute(_WAITING, {"tenant": tenant.id, "most": most})).scalar_one())
