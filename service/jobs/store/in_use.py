"""How much of its limits a tenant uses, of both modes together: counted along indexes of what is open."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from service.database import Connection
from service.jobs.lifecycle import Status
from service.jobs.store.table import HAS_ENDED

_IN_USE = text(
    f"""
    SELECT (SELECT count(*) FROM jobs
            WHERE token_id IS NOT NULL AND NOT ({HAS_ENDED}) AND tenant_id = :tenant
              AND (status <> '{Status.ACCEPTED}' OR lease_until > clock_timestamp())) AS in_flight,
           (SELECT count(*) FROM jobs WHERE tenant_id = :tenant AND status = '{Status.ACCEPTED}') AS queued,
           (SELECT count(*) FROM webhook_endpoints WHERE tenant_id = :tenant) AS endpoints,
           (SELECT count(*) FROM api_keys WHERE tenant_id = :tenant AND revoked_at IS NULL
              AND (expires_at IS NULL OR expires_at > clock_timestamp())) AS keys
    """
)


@dataclass(frozen=True, slots=True)
class InUse:
    """Jobs that hold a place upstream, jobs that wait here, webhook endpoints and live keys."""

    in_flight: int
    queued: int
    endpoints: int
    keys: int


async def in_use(connection: Connection, tenant_id: UUID) -> InUse:
    """All that is in use by this tenant now."""
    return InUse(*(await connection.execute(_IN_USE, {"tenant": tenant_id})).one())
