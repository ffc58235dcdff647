"""What becomes of deliveries to an endpoint that is disabled, enabled again, moved or removed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from service.database import Connection
from service.webhooks.store import NOW

_DISABLE = text(
    f"""
    UPDATE webhook_endpoints SET disabled_at = {NOW}, disabled_reason = :reason
    WHERE id = :id AND disabled_at IS NULL
    """  # noqa: S608  only constants of ours are put into it; so below
)
_HOLD = text("UPDATE webhook_deliveries SET status = 'held' WHERE endpoint_id = :id AND status = 'pending'")

_ENABLE = text("UPDATE webhook_endpoints SET disabled_at = NULL, disabled_reason = NULL WHERE id = :id")
_RELEASE = text(
    f"""
    UPDATE webhook_deliveries SET status = 'pending', due_at = {NOW}
    WHERE endpoint_id = :id AND status = 'held'
    """  # noqa: S608
)

# A sender that is at work on one finds that it is not its own any more.
_CANCEL = text(
    f"""
    UPDATE webhook_deliveries
    SET status = 'cancelled', owner = NULL, lease_until = NULL, finished_at = {NOW}
    WHERE endpoint_id = :id AND status IN ('pending', 'delivering', 'held')
    """  # noqa: S608
)

# A URL gets an event once: what goes to the new one already, as a job's own, is not sent there twice.
_CANCEL_TWICE_TOLD = text(
    f"""
    UPDATE webhook_deliveries AS delivery
    SET status = 'cancelled', owner = NULL, lease_until = NULL, finished_at = {NOW}
    WHERE endpoint_id = :id AND status IN ('pending', 'delivering', 'held')
      AND EXISTS (SELECT FROM webhook_deliveries AS other
                  WHERE other.event_id = delivery.event_id AND md5(other.url) = md5(:url))
    """  # noqa: S608
)
_MOVE = text(
    """
    UPDATE webhook_deliveries SET url = :url
    WHERE endpoint_id = :id AND status IN ('pending', 'delivering', 'held')
    """
)


async def disable(connection: Connection, endpoint_id: UUID, *, reason: str, now: datetime | None) -> None:
    """Send it nothing more, and hold what is to be sent. An attempt that is under way may finish."""
    await connection.execute(_DISABLE, {"id": endpoint_id, "reason": reason, "now": now})
    await connection.execute(_HOLD, {"id": endpoint_id})


async def enable(connection: Connection, endpoint_id: UUID, *, now: datetime | None) -> None:
    """Send to it again, also what was held: its lane lets out only a few at once."""
    await connection.execute(_ENABLE, {"id": endpoint_id})
    await connection.execute(_RELEASE, {"id": endpoint_id, "now": now})


async def cancel(connection: Connection, endpoint_id: UUID, *, now: datetime | None) -> None:
    """What has not arrived will not be sent."""
    await connection.execute(_CANCEL, {"id": endpoint_id, "now": now})


async def move(connection: Connection, endpoint_id: UUID, *, url: str, now: datetime | None) -> None:
    """What has not arrived goes to this URL."""
    await connection.execute(_CANCEL_TWICE_TOLD, {"id": endpoint_id, "url": url, "now": now})
    await connection.execute(_MOVE, {"id": endpoint_id, "url": url})
