"""Who changed what: written in the transaction of the change, and never changed or removed again.

Postgres refuses that for everybody, by a trigger. No entry holds a secret.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select

from service.database import Connection
from service.ids import uuid7
from service.tenants.models import AUDIT_LOG, TENANTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change. `tenant_id` is None where it concerns no single tenant, `tenant` is its name now."""

    id: UUID
    at: datetime
    tenant_id: UUID | None
    tenant: str | None
    actor: str
    action: str
    data: dict[str, Any]


async def record(
    connection: Connection,
    *,
    tenant_id: UUID | None,
    actor: str,
    action: str,
    data: dict[str, Any] | None = None,
) -> None:
    """Note a change, whose transaction this has to be.

    `tenant_id` is whom it concerns. `actor` is `Key.actor` or `Operator.actor`, or who runs the command line;
    `action` is a subject and a participle: `key.revoked`.
    """
    await connection.execute(
        insert(AUDIT_LOG).values(id=uuid7(), tenant_id=tenant_id, actor=actor, action=action, data=data or {})
    )


async def page(
    connection: Connection, *, tenant_id: UUID | None = None, before: UUID | None = None, limit: int
) -> list[Entry]:
    """The newest changes, of all tenants or of one, of those older than `before`."""
    seen = AUDIT_LOG.c
    query = (
        select(
            seen.id,
            seen.at,
            seen.tenant_id,
            TENANTS.c.name.label("tenant"),
            seen.actor,
            seen.action,
            seen.data,
        )
        .outerjoin(TENANTS, TENANTS.c.id == seen.tenant_id)
        .order_by(seen.id.desc())
        .limit(limit)
    )
    if tenant_id is not None:
        query = query.where(seen.tenant_id == tenant_id)
    if before is not None:
        query = query.where(seen.id < before)
    return [Entry(**row._mapping) for row in await connection.execute(query)]
