"""The secrets that sign what is sent, in Postgres: sealed at rest, each bound to its row.

An endpoint has its own. What goes to a `callback_url` is signed with the tenant's, of which there is one for
live and one for test: who tries things out with a test key cannot sign what live receivers believe.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, insert, select

from service.clock import moment
from service.database import Connection
from service.database.locks import take_named
from service.encryption import Vault
from service.ids import uuid7
from service.tenants import audit
from service.webhooks.models import SecretRow
from service.webhooks.rotation import is_live, make_room
from service.webhooks.signing import new_secret

SECRETS = cast("Table", SecretRow.__table__)


class NoSecretError(Exception):
    """There is no signing secret: nothing can be sent."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose secrets: an endpoint's or, without one, the tenant's own of that mode."""

    tenant_id: UUID
    endpoint_id: UUID | None = None
    mode: str = "live"

    def rows(self) -> list[ColumnElement[bool]]:
        mine = [SECRETS.c.tenant_id == self.tenant_id]
        if self.endpoint_id is not None:
            return [*mine, SECRETS.c.endpoint_id == self.endpoint_id]
        return [*mine, SECRETS.c.endpoint_id.is_(None), SECRETS.c.mode == self.mode]


@dataclass(frozen=True, slots=True)
class Secret:
    """One that signs now; until `expires_at`, if it has a successor."""

    secret: str
    created_at: datetime
    expires_at: datetime | None

    def document(self, *, shown: bool = True) -> dict[str, str | None]:
        """As it is answered; its text only where that is to be shown."""
        text = {"secret": self.secret} if shown else {}
        return {**text, "created_at": moment(self.created_at), "expires_at": moment(self.expires_at)}


async def issue(
    connection: Connection,
    vault: Vault,
    tenant_id: UUID,
    *,
    endpoint_id: UUID | None = None,
    mode: str = "live",
) -> str:
    """Give the tenant, or its endpoint, one more secret, and return it."""
    row, secret = uuid7(), new_secret()
    values = {"id": row, "tenant_id": tenant_id, "endpoint_id": endpoint_id, "mode": mode}
    await connection.execute(insert(SECRETS).values(sealed=vault.seal(secret.encode(), row=row), **values))
    return secret


async def live(connection: Connection, vault: Vault, owner: Owner) -> list[Secret]:
    """What signs now, oldest first; raises UnreadableSecretError."""
    rows = await connection.execute(
        select(SECRETS.c.id, SECRETS.c.sealed, SECRETS.c.created_at, SECRETS.c.expires_at)
        .where(*owner.rows(), is_live(SECRETS))
        .order_by(SECRETS.c.id)
    )
    return [
        Secret(vault.open(row.sealed, row=row.id).decode(), row.created_at, row.expires_at) for row in rows
    ]


async def own(connection: Connection, vault: Vault, tenant_id: UUID, mode: str) -> list[Secret]:
    """The tenant's own that sign now; the first one for test is made when it is first needed."""
    owner = Owner(tenant_id, mode=mode)
    found = await live(connection, vault, owner)
    if found or mode == "live":
        return found
    await _lock(connection, owner)
    if not (found := await live(connection, vault, owner)):
        await issue(connection, vault, tenant_id, mode=mode)
        found = await live(connection, vault, owner)
    return found


async def rotate(
    connection: Connection, vault: Vault, owner: Owner, *, grace_seconds: float, actor: str
) -> list[Secret]:
    """Give a new secret; returns all that sign now, the new one last. The caller commits.

    `actor` is who asked for it, for the audit log.
    """
    await _lock(connection, owner)
    await make_room(connection, SECRETS, *owner.rows(), grace_seconds=grace_seconds)
    await issue(connection, vault, owner.tenant_id, endpoint_id=owner.endpoint_id, mode=owner.mode)
    whose = {"endpoint_id": str(owner.endpoint_id)} if owner.endpoint_id else {"mode": owner.mode}
    await audit.record(
        connection,
        tenant_id=owner.tenant_id,
        actor=actor,
        action="secret.rotated",
        data=whose | {"grace_seconds": grace_seconds},
    )
    return await live(connection, vault, owner)


async def _lock(connection: Connection, owner: Owner) -> None:
    await take_named(connection, f"secrets of {owner.endpoint_id or owner.tenant_id} {owner.mode}")
