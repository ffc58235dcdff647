"""Signers, remembered for a moment: a change takes effect everywhere within `REMEMBERED_SECONDS`."""

import time
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from service.database import Connection, Database
from service.encryption import Vault
from service.webhooks import secrets, service_keys
from service.webhooks.models import EndpointRow
from service.webhooks.secrets import NoSecretError, Owner
from service.webhooks.service_keys import Published
from service.webhooks.signing import Signer

REMEMBERED_SECONDS = 4.0
"""Less than the 5 s that are promised: to read and to sign takes time too."""
_MOST_REMEMBERED = 10_000


class Keychain:
    """Who signs for whom."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._known: dict[Owner, tuple[float, Signer]] = {}
        self._signings: dict[UUID, str | None] = {}
        self._keys: tuple[float, list[Ed25519PrivateKey]] = (0.0, [])
        self._published: tuple[float, list[Published]] = (0.0, [])

    async def of(self, tenant_id: UUID, endpoint_id: UUID | None = None, *, mode: str = "live") -> Signer:
        """What signs for this endpoint or, without one, for the tenant's `callback_url`s of that mode.

        Raises NoSecretError, also where the endpoint is gone, and UnreadableSecretError.
        """
        # The mode of an endpoint is its own; what is asked with is of no account.
        owner = Owner(tenant_id, endpoint_id, mode if endpoint_id is None else "live")
        until, signer = self._known.get(owner, (0.0, None))
        if signer is None or until < time.monotonic():
            async with self._database.of_tenant(tenant_id) as connection:
                signer = await self._made(connection, owner)
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[owner] = (time.monotonic() + REMEMBERED_SECONDS, signer)
        return signer

    async def as_of_now(self, tenant_id: UUID, endpoint_id: UUID) -> Signer:
        """The same for this endpoint, with nothing remembered of its secrets."""
        async with self._database.of_tenant(tenant_id) as connection:
            return await self._made(connection, Owner(tenant_id, endpoint_id))

    async def published(self) -> list[Published]:
        """The service's keys that sign for whoever wants `v1a`."""
        until, keys = self._published
        if until < time.monotonic():
            async with self._database.transaction() as connection:
                keys = await service_keys.published(connection, self._vault)
            self._published = (time.monotonic() + REMEMBERED_SECONDS, keys)
        return keys

    async def _made(self, connection: Connection, owner: Owner) -> Signer:
        if owner.endpoint_id is None:
            found = await secrets.own(connection, self._vault, owner.tenant_id, owner.mode)
        else:
            found = await secrets.live(connection, self._vault, owner)
        if not found:
            whose = f"endpoint {owner.endpoint_id}" if owner.endpoint_id else f"tenant {owner.tenant_id}"
            raise NoSecretError(f"{whose} has no signing secret")
        wants_both = owner.endpoint_id and await self._signing(connection, owner.endpoint_id) == "v1a"
        keys = await self._private(connection) if wants_both else []
        return Signer(tuple(one.secret for one in found), tuple(keys))

    async def _signing(self, connection: Connection, endpoint_id: UUID) -> str | None:
        """Remembered for good: an endpoint's never changes."""
        if endpoint_id not in self._signings:
            query = select(EndpointRow.signing).where(EndpointRow.id == endpoint_id)
            signing = (await connection.execute(query)).scalar_one_or_none()
            if len(self._signings) >= _MOST_REMEMBERED:
                self._signings.clear()
            self._signings[endpoint_id] = signing
        return self._signings[endpoint_id]

    async def _private(self, connection: Connection) -> list[Ed25519PrivateKey]:
        until, keys = self._keys
        if until < time.monotonic():
            keys = await service_keys.live(connection, self._vault)
            self._keys = (time.monotonic() + REMEMBERED_SECONDS, keys)
        return keys
