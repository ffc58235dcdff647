"""The secrets that sign what goes to a tenant's `callback_url`s: sealed at rest, each bound to its row."""

import time
from typing import cast
from uuid import UUID

from sqlalchemy import Table, func, insert, or_, select

from service.database import Connection, Database
from service.encryption import UnreadableSecretError, Vault
from service.ids import uuid7
from service.webhooks.models import SecretRow
from service.webhooks.signing import new_secret

SECRETS = cast("Table", SecretRow.__table__)

REMEMBERED_SECONDS = 5.0
_MOST_REMEMBERED = 10_000


class NoSecretError(Exception):
    """A tenant without a signing secret: nothing can be sent to it."""


async def issue(connection: Connection, vault: Vault, tenant_id: UUID) -> str:
    """Give the tenant one more secret, and return it."""
    row, secret = uuid7(), new_secret()
    sealed = vault.seal(secret.encode(), row=row)
    await connection.execute(insert(SECRETS).values(id=row, tenant_id=tenant_id, sealed=sealed))
    return secret


async def live(connection: Connection, vault: Vault, tenant_id: UUID) -> list[str]:
    """The tenant's secrets that sign now, oldest first; raises UnreadableSecretError."""
    rows = await connection.execute(
        select(SECRETS.c.id, SECRETS.c.sealed)
        .where(
            SECRETS.c.tenant_id == tenant_id,
            or_(SECRETS.c.expires_at.is_(None), SECRETS.c.expires_at > func.clock_timestamp()),
        )
        .order_by(SECRETS.c.id)
    )
    return [vault.open(row.sealed, row=row.id).decode() for row in rows]


class Keychain:
    """Opened secrets, remembered for `REMEMBERED_SECONDS`: a change takes effect everywhere within that."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._known: dict[UUID, tuple[float, list[str]]] = {}

    async def of(self, tenant_id: UUID) -> list[str]:
        """What signs for this tenant, at least one; raises NoSecretError and UnreadableSecretError."""
        now = time.monotonic()
        until, secrets = self._known.get(tenant_id, (0.0, []))
        if until < now:
            async with self._database.statement() as connection:
                secrets = await live(connection, self._vault, tenant_id)
            if not secrets:
                raise NoSecretError(f"tenant {tenant_id} has no signing secret")
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[tenant_id] = (now + REMEMBERED_SECONDS, secrets)
        return secrets


async def unreadable(connection: Connection, vault: Vault) -> tuple[int, int]:
    """How many secrets are stored, and how many of them this vault cannot open."""
    rows = (await connection.execute(select(SECRETS.c.id, SECRETS.c.sealed))).all()
    return len(rows), sum(not _opens(vault, row.sealed, row.id) for row in rows)


def _opens(vault: Vault, sealed: bytes, row: UUID) -> bool:
    try:
        vault.open(sealed, row=row)
    except UnreadableSecretError:
        return False
    return True
