"""Finding a key by its hash, before it is known whose rows may be seen: by functions that tell just that."""

from collections.abc import Iterable
from typing import Literal, TypeAlias
from uuid import UUID

from sqlalchemy import text

from service.database import Connection
from service.tenants.tenant import Key, Limits, Operator, Tenant

Found: TypeAlias = Key | Operator | Literal["expired", "revoked"]

_FIND = text("SELECT * FROM find_api_key(:digest)")
_NOTE = text("SELECT note_api_keys_used(CAST(:used AS uuid[]))")


async def find(connection: Connection, digest: bytes) -> Found | None:
    """The key with this hash, if it is good, or why it is not."""
    row = (await connection.execute(_FIND, {"digest": digest})).one_or_none()
    if row is None:
        return None
    if row.state != "live":
        return "expired" if row.state == "expired" else "revoked"
    if row.tenant_id is None:
        return Operator(row.id)
    limits = Limits(**{name: getattr(row, name) for name in Limits.__slots__})
    return Key(
        id=row.id,
        tenant=Tenant(id=row.tenant_id, mode=row.mode),
        scopes=frozenset(row.scopes),
        limits=limits,
        is_of_disabled=row.is_of_disabled,
    )


async def note_used(connection: Connection, used: Iterable[UUID]) -> None:
    """These keys are used now."""
    await connection.execute(_NOTE, {"used": list(used)})
