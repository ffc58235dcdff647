"""What an operator on call sees: any tenant's deliveries and endpoints."""

from collections.abc import Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import Table, TextClause, select, text

from service.clock import Clock
from service.database import Database
from service.errors import NotFoundError
from service.tenants import store as tenants
from service.tenants.keys import MODES
from service.tenants.tenant import Tenant
from service.webhooks.endpoint import Endpoint
from service.webhooks.log import SHOWN, Delivery
from service.webhooks.models import DELIVERY_STATUSES
from service.webhooks.store import DELIVERIES
from service.webhooks.store import endpoints as endpoint_store
from service.webhooks.store.endpoints import ENDPOINTS


async def newest(
    database: Database, *, tenant: str | None, statuses: Sequence[str], limit: int
) -> list[tuple[str, Delivery]]:
    """The newest deliveries with their tenants' names. `tenant` is a name or an id; raises NotFoundError."""
    async with database.transaction() as connection:
        tenant_id = None if tenant is None else (await tenants.find(connection, tenant)).id
        given = {"tenant": tenant_id, "modes": list(MODES), "limit": limit}
        rows = await connection.execute(_newest(frozenset(statuses) or frozenset(DELIVERY_STATUSES)), given)
        return [
            (row.tenant, Delivery(**{name: getattr(row, name) for name in (*SHOWN, "type")})) for row in rows
        ]


async def endpoints(database: Database, *, tenant: str | None, clock: Clock) -> list[tuple[str, Endpoint]]:
    """All endpoints, or one tenant's, with the tenants' names; raises NotFoundError."""
    async with database.transaction() as connection:
        wanted = select(ENDPOINTS.c.tenant_id, ENDPOINTS.c.mode).distinct().order_by("tenant_id", "mode")
        if tenant is not None:
            wanted = wanted.where(ENDPOINTS.c.tenant_id == (await tenants.find(connection, tenant)).id)
        found: list[tuple[str, Endpoint]] = []
        for row in (await connection.execute(wanted)).all():
            name = (await tenants.find(connection, str(row.tenant_id))).name
            owner = Tenant(id=row.tenant_id, mode=row.mode)
            found += [(name, one) for one in await endpoint_store.every(connection, owner, now=clock())]
        return found


async def owner_of_delivery(database: Database, delivery_id: UUID) -> Tenant:
    """Whose it is; raises NotFoundError."""
    return await _owner(database, DELIVERIES, delivery_id, kind="webhook delivery")


async def owner_of_endpoint(database: Database, endpoint_id: UUID) -> Tenant:
    """The same for an endpoint."""
    return await _owner(database, ENDPOINTS, endpoint_id, kind="webhook endpoint")


async def _owner(database: Database, table: Table, row_id: UUID, *, kind: str) -> Tenant:
    async with database.statement() as connection:
        rows = await connection.execute(select(table.c.tenant_id, table.c.mode).where(table.c.id == row_id))
        row = rows.one_or_none()
    if row is None:
        raise NotFoundError(f"There is no {kind} {row_id}.")
    return Tenant(id=row.tenant_id, mode=row.mode)


@cache
def _newest(statuses: frozenset[str]) -> TextClause:
    """For each tenant the beginning of the index that lists its deliveries, whatever is stored of them.

    Each status is a constant of a query of its own: of a column the planner would not know how rare it is.
    """
    each = " UNION ALL ".join(
        f"""
        (SELECT * FROM webhook_deliveries AS one
         WHERE one.tenant_id = tenants.id AND one.mode = modes.mode AND one.status = '{status}'
         ORDER BY one.id DESC LIMIT :limit)
        """  # noqa: S608  only words of ours are put into it; so below
        for status in sorted(statuses)
    )
    columns = ", ".join(f"delivery.{name}" for name in SHOWN)
    return text(
        f"""
        SELECT {columns}, events.type, delivery.tenant FROM (
            SELECT each.*, tenants.name AS tenant FROM tenants
            CROSS JOIN unnest(CAST(:modes AS text[])) AS modes (mode)
            CROSS JOIN LATERAL ({each}) AS each
            WHERE CAST(:tenant AS uuid) IS NULL OR tenants.id = :tenant
            ORDER BY each.id DESC LIMIT :limit
        ) AS delivery
        JOIN events ON events.id = delivery.event_id
        ORDER BY delivery.id DESC
        """  # noqa: S608
    )
