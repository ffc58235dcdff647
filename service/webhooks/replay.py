"""What is sent once more because somebody asks for it: the same bytes and id, with a fresh signature."""

from datetime import datetime, timedelta
from uuid import UUID

from service.clock import Clock
from service.database import Database
from service.errors import Fault, NotRedeliverableError
from service.schema.faults import invalid
from service.tenants.tenant import Tenant
from service.webhooks import endpoint_store, endpoints
from service.webhooks.forms import Window
from service.webhooks.log import Delivery

LONGEST_AGO = timedelta(days=14)
MOST = 10_000


async def replay(
    database: Database, tenant: Tenant, endpoint_id: UUID, window: Window, *, clock: Clock
) -> int:
    """Send the endpoint what is in the window, oldest first, at most `MOST` events; returns how many.

    They go in a line of their own, never in the way of fresh deliveries. Raises NotFoundError,
    InvalidInputError, and NotRedeliverableError while the endpoint is disabled.
    """
    now = clock()
    async with database.of_tenant(tenant.id) as connection:
        endpoint = await endpoints.found(connection, tenant, endpoint_id, clock=clock, locked=True)
        if not endpoint.is_enabled:
            raise NotRedeliverableError("The endpoint is disabled: enable it first.")
        since, until = _checked(window, now or await endpoint_store.time(connection))
        raise NotImplementedError(since, until)


async def redeliver(database: Database, tenant: Tenant, delivery_id: UUID, *, clock: Clock) -> Delivery:
    """Send it once more, whatever became of it; raises NotFoundError and NotRedeliverableError."""


def _checked(window: Window, now: datetime) -> tuple[datetime, datetime]:
    until = window.until or now
    faults = []
    if window.since < now - LONGEST_AGO:
        faults.append(Fault("/since", f"must be at most {LONGEST_AGO.days} days ago"))
    if window.since >= until:
        faults.append(Fault("/until" if window.until else "/since", "must be later than since"))
    if faults:
        raise invalid(faults)
    return window.since, until
