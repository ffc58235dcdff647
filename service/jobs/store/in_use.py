"""How much of its limits a tenant uses: counted along indexes of what is open."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from service.database import Connection
from service.database.base import quoted
from service.jobs.lifecycle import Status
from service.jobs.store.table import HOLDS_A_PLACE
from service.tenants.keys import MODES, Mode

# Live and test have places and endpoints of their own; the other limits are for both together.
_IN_USE = text(
    f"""
    SELECT (SELECT count(*) FROM jobs
            WHERE token_id IS NOT NULL AND tenant_id = :tenant AND mode = :mode AND {HOLDS_A_PLACE})
               AS in_flight,
           (SELECT count(*) FROM jobs
            WHERE tenant_id = :tenant AND mode IN ({quoted(MODES)}) AND status = '{Status.ACCEPTED}'
              AND deleted_at IS NULL) AS queued,
           (SELECT count(*) FROM webhook_endpoints WHERE tenant_id = :tenant AND mode = :mode) AS endpoints,
           (SELECT count(*) FROM api_keys WHERE tenant_id = :tenant AND revoked_at IS NULL
              AND (expires_at IS NULL OR expires_at > clock_timestamp())) AS keys
    """
)


@dataclass(frozen=True, slots=True)
class InUse:
    """Of one mode the jobs that hold a place and the webhook endpoints; jobs that wait, and live keys."""

    in_flight: int
    queued: int
    endpoints: int
    keys: int


async def in_use(connection: Connection, tenant_id: UUID, *, mode: Mode = "live") -> InUse:
    """All that is in use by this tenant now."""
    row = (await connection.execute(_IN_USE, {"tenant": tenant_id, "mode": mode})).one()
    return InUse(*row)
