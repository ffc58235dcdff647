"""What was told of a job that is deleted: nobody is told any more, and the words are gone."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from service.database import Connection
from service.database.base import NOW
from service.tenants.tenant import Tenant
from service.webhooks.models import ENDED_DELIVERIES

# A sender that is at work on one finds that it is not its own any more. Of a `callback_url` its origin stays,
# which the lane is named by; an endpoint's URL is not the job's. Receivers may have answered with what they
# were sent.
_ERASE = text(
    f"""
    WITH event AS (
        UPDATE events SET body = NULL WHERE job_id = :job_id AND tenant_id = :tenant_id RETURNING id
    )
    UPDATE webhook_deliveries AS delivery
    SET url = CASE WHEN origin ~ '^(replay:)?endpoint:' THEN url
                   ELSE regexp_replace(origin, '^replay:', '') || '/[deleted]' END,
        reason = NULL, in_line = FALSE, owner = NULL, lease_until = NULL,
        status = CASE WHEN status IN ({ENDED_DELIVERIES}) THEN status ELSE 'cancelled' END,
        finished_at = coalesce(finished_at, {NOW})
    FROM event WHERE delivery.event_id = event.id
    """
)

# A statement of its own, so that it sees an attempt that was written while the first one waited for its row.
_ERASE_ATTEMPTS = text(
    """
    UPDATE webhook_attempts SET response = '', error = NULL
    FROM webhook_deliveries AS delivery
    JOIN events ON events.id = delivery.event_id
    WHERE webhook_attempts.delivery_id = delivery.id
      AND events.job_id = :job_id AND events.tenant_id = :tenant_id
    """
)


async def erase(connection: Connection, tenant: Tenant, job_id: UUID, *, now: datetime | None) -> None:
    """Cancel what is still to be delivered about the job, and forget what was; the caller commits."""
    given = {"job_id": job_id, "tenant_id": tenant.id}
    await connection.execute(_ERASE, given | {"now": now})
    await connection.execute(_ERASE_ATTEMPTS, given)
