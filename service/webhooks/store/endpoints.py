"""Endpoints in Postgres. Changes to those of one tenant wait for each other (`lock`)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, TextClause, insert, text, update

from service.database import Connection
from service.database.base import NOW
from service.database.locks import take_named
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks.endpoint import MOST_COUNTED, Endpoint
from service.webhooks.forms import Registration
from service.webhooks.models import EndpointRow

ENDPOINTS = cast("Table", EndpointRow.__table__)

_ROOM = text(
    """
    SELECT max_endpoints,
           (SELECT count(*) FROM webhook_endpoints WHERE tenant_id = :tenant_id AND mode = :mode)
    FROM tenants WHERE id = :tenant_id
    """
)

_AT = text(
    """
    SELECT id FROM webhook_endpoints
    WHERE tenant_id = :tenant_id AND mode = :mode AND md5(url) = md5(:url) AND url = :url
    """
)


def _seen(condition: str) -> TextClause:
    waiting = (
        "(SELECT count(*) FROM (SELECT FROM webhook_deliveries"
        f" WHERE endpoint_id = endpoint.id AND status = '%s' LIMIT {MOST_COUNTED}) AS counted)"
    )
    return text(
        f"""
        SELECT endpoint.id, endpoint.tenant_id, endpoint.mode, endpoint.url, endpoint.description,
               endpoint.events, endpoint.signing, endpoint.created_at, endpoint.disabled_at,
               endpoint.disabled_reason, endpoint.succeeded_at, endpoint.failing_since,
               CASE WHEN lane.open_until > {NOW} THEN 'open'
                    WHEN lane.open_until IS NOT NULL THEN 'half_open' ELSE 'closed' END AS breaker,
               lane.open_until, {waiting % "pending"} AS pending, {waiting % "held"} AS held
        FROM webhook_endpoints AS endpoint
        LEFT JOIN webhook_lanes AS lane
               ON lane.tenant_id = endpoint.tenant_id AND lane.origin = 'endpoint:' || endpoint.id
        WHERE endpoint.tenant_id = :tenant_id AND endpoint.mode = :mode AND {condition}
        ORDER BY endpoint.id DESC
        """
    )


_ONE = _seen("endpoint.id = :id")
_ALL = _seen("true")

_LOCK_ROW = text(
    "SELECT FROM webhook_endpoints WHERE tenant_id = :tenant_id AND mode = :mode AND id = :id FOR UPDATE"
)
_REMOVE = text("DELETE FROM webhook_endpoints WHERE id = :id")
_DISABLE = text(
    f"""
    UPDATE webhook_endpoints SET disabled_at = {NOW}, disabled_reason = :reason
    WHERE id = :id AND disabled_at IS NULL
    """
)

_TRUST = text(
    f"""
    UPDATE webhook_lanes
    SET failures = 0, openings = 0, open_until = NULL,
        places = CASE WHEN open_until IS NOT NULL OR places IS NOT NULL THEN 1 END,
        ready_at = CASE WHEN ready_at IS NOT NULL THEN {NOW} END
    WHERE tenant_id = :tenant_id AND origin = :lane
    """
)


async def lock(connection: Connection, tenant: Tenant) -> None:
    """Whatever is counted or looked for of this tenant's endpoints stays so until the transaction ends."""
    await take_named(connection, f"endpoints of {tenant.id}")


async def room(connection: Connection, tenant: Tenant) -> tuple[int, int]:
    """How many endpoints the tenant may have, and how many it has in this mode."""
    row = (await connection.execute(_ROOM, _of(tenant))).one()
    return row[0], row[1]


async def at(connection: Connection, tenant: Tenant, url: str) -> UUID | None:
    """The endpoint that is registered for this URL."""
    rows = await connection.execute(_AT, _of(tenant) | {"url": url})
    found: UUID | None = rows.scalar_one_or_none()
    return found


async def add(connection: Connection, tenant: Tenant, asked: Registration, *, now: datetime | None) -> UUID:
    """Register it; the caller has looked whether it may be."""
    endpoint_id = uuid7()
    values: dict[str, Any] = {name: getattr(asked, name) for name in Registration.__slots__}
    values |= {"id": endpoint_id, "tenant_id": tenant.id, "mode": tenant.mode}
    await connection.execute(insert(ENDPOINTS).values(**values | ({"created_at": now} if now else {})))
    return endpoint_id


async def find(
    connection: Connection, tenant: Tenant, endpoint_id: UUID, *, now: datetime | None, locked: bool = False
) -> Endpoint | None:
    """One of the tenant's; locked until the transaction ends if that is asked for."""
    given = _of(tenant) | {"id": endpoint_id}
    if locked:
        await connection.execute(_LOCK_ROW, given)
    row = (await connection.execute(_ONE, given | {"now": now})).one_or_none()
    return None if row is None else _endpoint(row)


async def every(connection: Connection, tenant: Tenant, *, now: datetime | None) -> list[Endpoint]:
    """All of the tenant's in this mode, newest first."""
    return [_endpoint(row) for row in await connection.execute(_ALL, _of(tenant) | {"now": now})]


async def write(connection: Connection, endpoint: Endpoint, values: Mapping[str, Any]) -> None:
    """Set these columns."""
    if values:
        await connection.execute(update(ENDPOINTS).where(ENDPOINTS.c.id == endpoint.id).values(**values))


async def disable(connection: Connection, endpoint: Endpoint, *, reason: str, now: datetime | None) -> None:
    """From now on; the caller holds what is to be sent."""
    await connection.execute(_DISABLE, {"id": endpoint.id, "reason": reason, "now": now})


async def trust(connection: Connection, endpoint: Endpoint, lane: str, *, now: datetime | None) -> None:
    """Another receiver, or one that was mended: what this lane of its holds against it counts no more.

    A breaker that was open lets one attempt at a time through at first. A transaction of its own, which has
    nothing else locked: attempts that have just ended lock lanes and endpoints in whatever order.
    """
    await connection.execute(_TRUST, {"tenant_id": endpoint.tenant_id, "lane": lane, "now": now})


async def remove(connection: Connection, endpoint: Endpoint) -> None:
    """With its secrets; the caller has ended what is under way to it."""
    await connection.execute(_REMOVE, {"id": endpoint.id})


def _of(tenant: Tenant) -> dict[str, Any]:
    return {"tenant_id": tenant.id, "mode": tenant.mode}


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(**row._mapping)
