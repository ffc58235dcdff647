"""Signers, remembered for a moment: a change takes effect everywhere within `REMEMBERED_SECONDS`."""

import time
from uuid import UUID

from sqlalchemy import select

from service.database import Connection, Database
from service.encryption import Vault
from service.webhooks import secrets, service_keys
from service.webhooks.models import EndpointRow
from service.webhooks.secrets import NoSecretError, Owner
from service.webhooks.service_keys import Published
from service.webhooks.signing import Signer

REMEMBERED_SECONDS = 5.0
_MOST_REMEMBERED = 10_000


class Keychain:
    """Who signs for whom."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._known: dict[Owner, tuple[float, Signer]] = {}
        self._published: tuple[float, list[Published]] = (0.0, [])

    async def of(self, tenant_id: UUID, endpoint_id: UUID | None = None, *, mode: str = "live") -> Signer:
        """What signs for this endpoint or, without one, for the tenant's `callback_url`s of that mode.

        Raises NoSecretError, also where the endpoint is gone, and UnreadableSecretError.
        """
        # The mode of an endpoint is its own; what is asked with is of no account.
        owner = Owner(tenant_id, endpoint_id, mode if endpoint_id is None else "live")
        now = time.monotonic()
        until, signer = self._known.get(owner, (0.0, None))
        if signer is None or until < now:
            async with self._database.of_tenant(tenant_id) as connection:
                signer = await self._made(connection, owner)
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[owner] = (now + REMEMBERED_SECONDS, signer)
        return signer

    async def published(self) -> list[Published]:
        """The service's keys that sign for whoever wants `v1a`."""
        now = time.monotonic()
        until, keys = self._published
        if until < now:
            async with self._database.transaction() as connection:
                keys = await service_keys.published(connection, self._vault)
            self._published = (now + REMEMBERED_SECONDS, keys)
        return keys

    async def _made(self, connection: Connection, owner: Owner) -> Signer:
        if owner.endpoint_id is None:
            found = await secrets.own(connection, self._vault, owner.tenant_id, owner.mode)
        else:
            found = await secrets.live(connection, self._vault, owner)
        if not found:
            whose = f"endpoint {owner.endpoint_id}" if owner.endpoint_id else f"tenant {owner.tenant_id}"
            raise NoSecretError(f"{whose} has no signing secret")
        wants_both = owner.endpoint_id is not None and await _wants_v1a(connection, owner.endpoint_id)
        keys = await service_keys.live(connection, self._vault) if wants_both else []
        return Signer(tuple(one.secret for one in found), tuple(keys))


async def _wants_v1a(connection: Connection, endpoint_id: UUID) -> bool:
    signing = await connection.execute(select(EndpointRow.signing).where(EndpointRow.id == endpoint_id))
    return signing.scalar_one_or_none() == "v1a"
