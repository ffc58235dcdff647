"""What is sent once more because somebody asks for it: the same bytes and id, with a fresh signature.

It goes in a line of its own beside the endpoint's, so that it is never in the way of fresh deliveries.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from service.bell import Bell
from service.clock import Clock
from service.database import Connection, Database
from service.database.base import NOW
from service.errors import NotRedeliverableError
from service.tenants.tenant import Tenant
from service.webhooks import endpoints, log
from service.webhooks.forms import Window
from service.webhooks.log import Delivery
from service.webhooks.store import again
from service.webhooks.store import endpoints as endpoint_store
from service.webhooks.store.again import Stretch

LONGEST_AGO = timedelta(days=14)
LEEWAY = timedelta(minutes=5)
"""For a caller who counts the days by another clock, and for the way here."""

_TIME = text(f"SELECT {NOW}")


async def replay(
    database: Database, tenant: Tenant, endpoint_id: UUID, window: Window, *, bell: Bell, clock: Clock
) -> int:
    """Send the endpoint what is in the window, oldest first and 10,000 at most; returns how many.

    Raises NotFoundError, and NotRedeliverableError for a window that cannot be, or a disabled endpoint.
    """
    now = clock()
    async with database.of_tenant(tenant.id) as connection:
        # Not locked: senders would wait for it. Should it be disabled or removed now, the claim sees that.
        endpoint = await endpoints.found(connection, tenant, endpoint_id, clock=clock)
        if not endpoint.is_enabled:
            raise NotRedeliverableError("The endpoint is disabled: enable it first.")
        _check(window, (await connection.execute(_TIME, {"now": now})).scalar_one())
    left: Stretch | None = Stretch(since=window.since, until=window.until, statuses=window.statuses)
    replayed = 0
    while left:
        async with database.of_tenant_at_length(tenant.id) as connection:
            count, left = await again.replay(connection, tenant, endpoint_id, left, now=now)
        replayed += count
    bell.ring()
    return replayed


async def redeliver(
    database: Database, tenant: Tenant, delivery_id: UUID, *, bell: Bell, clock: Clock
) -> Delivery:
    """Send it once more, whatever became of it; raises NotFoundError and NotRedeliverableError."""
    now = clock()
    async with database.of_tenant(tenant.id) as connection:
        delivery = await log.found(connection, tenant, delivery_id)
        await _check_endpoint(connection, tenant, delivery, now=now)
        asked = await again.redeliver(connection, tenant, delivery_id, now=now)
        delivery = await log.found(connection, tenant, delivery_id)
    if not asked and delivery.status != "delivering":
        raise NotRedeliverableError("The job was deleted: there is nothing left to send.")
    bell.ring()
    return delivery


async def _check_endpoint(
    connection: Connection, tenant: Tenant, delivery: Delivery, *, now: datetime | None
) -> None:
    if delivery.endpoint_id is None:
        return
    endpoint = await endpoint_store.find(connection, tenant, delivery.endpoint_id, now=now)
    if endpoint is None:
        raise NotRedeliverableError("The endpoint was removed.")
    if not endpoint.is_enabled:
        raise NotRedeliverableError("The endpoint is disabled: enable it first.")
    if endpoint.url != delivery.url:
        # Whoever answers at the URL that it had may be somebody else by now.
        raise NotRedeliverableError("The endpoint has another URL now: replay the event.")


def _check(window: Window, now: datetime) -> None:
    """What depends on the time is no matter of the schema: a body that is good once is good for ever."""
    if window.since < now - LONGEST_AGO - LEEWAY:
        raise NotRedeliverableError(f"What happened more than {LONGEST_AGO.days} days ago is not replayed.")
    if window.since >= (window.until or now):
        raise NotRedeliverableError("There is nothing between since and until, which has to be later.")
