"""What a tenant does with its endpoints. Another tenant's, and those of the other mode, are not there."""

from typing import Any
from uuid import UUID

from service.clock import Clock
from service.database import Connection, Database
from service.encryption import Vault
from service.errors import EndpointExistsError, LimitReachedError, NotFoundError
from service.queue import Bell
from service.tenants.tenant import Tenant
from service.webhooks import secrets, service_keys
from service.webhooks.endpoint import Endpoint
from service.webhooks.forms import Change, Registration
from service.webhooks.secrets import Owner, Secret
from service.webhooks.store import again
from service.webhooks.store import endpoints as endpoint_store

_ENABLED: dict[str, Any] = {"disabled_at": None, "disabled_reason": None}
# Another receiver, or one that was mended: what was held against it counts no more.
_UNTRIED: dict[str, Any] = {"failing_since": None, "failed_events": 0}


async def register(
    database: Database, vault: Vault, tenant: Tenant, asked: Registration, *, clock: Clock
) -> tuple[Endpoint, str]:
    """The new endpoint and its secret, which is not seen again.

    Raises LimitReachedError, and EndpointExistsError for a URL that is registered already.
    """
    now = clock()
    async with database.of_tenant(tenant.id) as connection:
        await endpoint_store.lock(connection, tenant)
        await _make_sure_is_new(connection, tenant, asked.url)
        most, there_are = await endpoint_store.room(connection, tenant)
        if there_are >= most:
            raise LimitReachedError(
                f"max_endpoints is {most}, and there are {there_are}: remove one, or ask for a higher limit."
            )
        endpoint_id = await endpoint_store.add(connection, tenant, asked, now=now)
        secret = await secrets.issue(connection, vault, tenant.id, endpoint_id=endpoint_id)
        if asked.signing == "v1a":
            # So that the key is published before anything is signed with it.
            await service_keys.published(connection, vault)
        return await found(connection, tenant, endpoint_id, clock=clock), secret


async def every(database: Database, tenant: Tenant, *, clock: Clock) -> list[Endpoint]:
    """All, newest first."""
    async with database.of_tenant(tenant.id) as connection:
        return await endpoint_store.every(connection, tenant, now=clock())


async def one(database: Database, tenant: Tenant, endpoint_id: UUID, *, clock: Clock) -> Endpoint:
    """Raises NotFoundError; so do the others."""
    async with database.of_tenant(tenant.id) as connection:
        return await found(connection, tenant, endpoint_id, clock=clock)


async def change(
    database: Database, tenant: Tenant, endpoint_id: UUID, asked: Change, *, bell: Bell, clock: Clock
) -> Endpoint:
    """The endpoint as it is then; raises EndpointExistsError too."""
    now = clock()
    async with database.of_tenant(tenant.id) as connection:
        await endpoint_store.lock(connection, tenant)
        endpoint = await found(connection, tenant, endpoint_id, clock=clock, locked=True)
        moves = asked.url is not None and asked.url != endpoint.url
        revives = asked.enabled is True and not endpoint.is_enabled
        if moves and asked.url is not None:
            await _make_sure_is_new(connection, tenant, asked.url)
            await endpoint_store.move(connection, endpoint, url=asked.url, now=now)
        values = {name: value for name, value in asked.columns().items() if value is not None}
        await endpoint_store.write(connection, endpoint, values | (_UNTRIED if moves or revives else {}))
        if asked.enabled is False and endpoint.is_enabled:
            await endpoint_store.disable(connection, endpoint, reason="asked", now=now)
            await again.hold(connection, tenant, endpoint_id)
        if revives:
            await endpoint_store.write(connection, endpoint, _ENABLED)
            await again.release(connection, tenant, endpoint_id, now=now)
    if moves or revives:
        async with database.of_tenant(tenant.id) as connection:
            await endpoint_store.trust(connection, endpoint, now=now)
        bell.ring()
    return await one(database, tenant, endpoint_id, clock=clock)


async def remove(database: Database, tenant: Tenant, endpoint_id: UUID, *, clock: Clock) -> None:
    """Nothing is sent to it any more; what was sent stays in the log."""
    async with database.of_tenant(tenant.id) as connection:
        endpoint = await found(connection, tenant, endpoint_id, clock=clock, locked=True)
        await again.withdraw(connection, tenant, endpoint_id, now=clock())
        await endpoint_store.remove(connection, endpoint)


async def rotate_secret(
    database: Database, vault: Vault, tenant: Tenant, endpoint_id: UUID, *, grace_seconds: int, clock: Clock
) -> list[Secret]:
    """All secrets that sign for it then, the new one last."""
    async with database.of_tenant(tenant.id) as connection:
        await found(connection, tenant, endpoint_id, clock=clock)
        owner = Owner(tenant.id, endpoint_id)
        return await secrets.rotate(connection, vault, owner, grace_seconds=grace_seconds)


async def found(
    connection: Connection, tenant: Tenant, endpoint_id: UUID, *, clock: Clock, locked: bool = False
) -> Endpoint:
    """For whoever has a transaction."""
    endpoint = await endpoint_store.find(connection, tenant, endpoint_id, now=clock(), locked=locked)
    if endpoint is None:
        raise NotFoundError(f"There is no webhook endpoint {endpoint_id}.")
    return endpoint


async def _make_sure_is_new(connection: Connection, tenant: Tenant, url: str) -> None:
    if (taken := await endpoint_store.at(connection, tenant, url)) is not None:
        raise EndpointExistsError(f"The URL is registered already, as the endpoint {taken}.")
