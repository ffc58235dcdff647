"""The service's own Ed25519 keys in Postgres: the private half sealed, the public half for everybody.

All that are live sign, so that a receiver that has only heard of the one before still verifies.
"""

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Select, Table, select, text
from sqlalchemy.dialects.postgresql import insert

from service.database import Connection
from service.encryption import Vault
from service.ids import uuid7
from service.tenants import audit
from service.webhooks.models import SigningKeyRow
from service.webhooks.rotation import is_live, make_room

KEYS = cast("Table", SigningKeyRow.__table__)

_ALONE = text("LOCK TABLE webhook_keys IN SHARE ROW EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class Published:
    """A key as everybody may know it."""

    id: UUID
    public: bytes


async def published(connection: Connection, vault: Vault) -> list[Published]:
    """Every key that signs now, oldest first; the first one is made when it is first needed."""
    query = _live(KEYS.c.id, KEYS.c.public)
    if not (found := (await connection.execute(query)).all()):
        await _make(connection, vault)
        found = (await connection.execute(query)).all()
    return [Published(row.id, row.public) for row in found]


async def live(connection: Connection, vault: Vault) -> list[Ed25519PrivateKey]:
    """The same keys, to sign with; raises UnreadableSecretError."""
    await published(connection, vault)
    rows = await connection.execute(_live(KEYS.c.id, KEYS.c.sealed))
    return [Ed25519PrivateKey.from_private_bytes(vault.open(row.sealed, row=row.id)) for row in rows]


async def rotate(
    connection: Connection, vault: Vault, *, grace_seconds: float, actor: str
) -> list[Published]:
    """Make a new key; returns all that sign now, the new one last. For an operator; the caller commits.

    `actor` is who that is, for the audit log.
    """
    await connection.execute(_ALONE)
    await make_room(connection, KEYS, grace_seconds=grace_seconds)
    await _make(connection, vault)
    found = await published(connection, vault)
    data = {"key_id": str(found[-1].id), "grace_seconds": grace_seconds}
    await audit.record(connection, tenant_id=None, actor=actor, action="signing_key.rotated", data=data)
    return found


async def _make(connection: Connection, vault: Vault) -> None:
    """Nothing is done if somebody else has made the one in force meanwhile."""
    row, key = uuid7(), Ed25519PrivateKey.generate()
    values = {
        "id": row,
        "public": key.public_key().public_bytes_raw(),
        "sealed": vault.seal(key.private_bytes_raw(), row=row),
    }
    await connection.execute(insert(KEYS).values(**values).on_conflict_do_nothing())


def _live(*columns: Any) -> Select[Any]:
    return select(*columns).where(is_live(KEYS)).order_by(KEYS.c.id)
