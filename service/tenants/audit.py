"""Who changed what: written in the transaction of the change, and never changed or removed again.

Postgres refuses that for everybody, by a trigger. No entry holds a secret.
"""

from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, insert

from service.database import Connection
from service.ids import uuid7
from service.tenants.models import AuditRow

ENTRIES = cast("Table", AuditRow.__table__)


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
        insert(ENTRIES).values(id=uuid7(), tenant_id=tenant_id, actor=actor, action=action, data=data or {})
    )
