"""What a tenant does with its endpoints. Another tenant's, and those of the other mode, are not there.

Each change has its entry in the audit log, by `actor`. Of a URL only its origin stands there, since the rest
of it may be a secret.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from service.bell import Bell
from service.clock import Clock
from service.database import Connection, Database
from service.encryption import Vault
from service.errors import EndpointExistsError, LimitReachedError, NotFoundError
from service.tenants import audit
from service.tenants.tenant import Tenant
from service.webhooks import secrets, service_keys
from service.webhooks.endpoint import Endpoint
from service.webhooks.forms import Change, Registration
from service.webhooks.lanes import REPLAY, endpoint_lane
from service.webhooks.secrets import Owner, Secret
from service.webhooks.store import again, moving
from service.webhooks.store import endpoints as endpoint_store

_ENABLED: dict[str, Any] = {"disabled_at": None, "disabled_reason": None}
_FORGIVEN: dict[str, Any] = {"failing_since": None, "failed_events": 0}
_DESCRIBED_BY = ("url", "events", "description")


async def register(
    database: Database, vault: Vault, tenant: Tenant, asked: Registration, *, actor: str, clock: Clock
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
                f"max_endpoints is {most}, and there are {there_are}: remove one, or ask for a higher limit.",
                limit="max_endpoints",
            )
        endpoint_id = await endpoint_store.add(connection, tenant, asked, now=now)
        secret = await secrets.issue(connection, vault, tenant.id, endpoint_id=endpoint_id)
        if asked.signing == "v1a":
            # So that the key is published before anything is signed with it.
            await service_keys.published(connection, vault)
        endpoint = await found(connection, tenant, endpoint_id, clock=clock)
        await _note(connection, endpoint, "endpoint.created", actor=actor)
        return endpoint, secret


async def every(database: Database, tenant: Tenant, *, clock: Clock) -> list[Endpoint]:
    """All, newest first."""
    async with database.of_tenant(tenant.id) as connection:
        return await endpoint_store.every(connection, tenant, now=clock())


async def one(database: Database, tenant: Tenant, endpoint_id: UUID, *, clock: Clock) -> Endpoint:
    """Raises NotFoundError; so do the others."""
    async with database.of_tenant(tenant.id) as connection:
        return await found(connection, tenant, endpoint_id, clock=clock)


async def change(
    database: Database,
    tenant: Tenant,
    endpoint_id: UUID,
    asked: Change,
    *,
    actor: str,
    bell: Bell,
    clock: Clock,
) -> Endpoint:
    """The endpoint as it is then; raises EndpointExistsError too.

    What it is from now on is committed first, and what waits follows in steps. Should those be cut off, the
    same change asked for again goes on with them.
    """
    now = clock()
    async with database.of_tenant(tenant.id) as connection:
        await endpoint_store.lock(connection, tenant)
        before = await found(connection, tenant, endpoint_id, clock=clock, locked=True)
        begins_anew = asked.enabled is True
        if asked.url is not None and asked.url != before.url:
            await _make_sure_is_new(connection, tenant, asked.url)
            begins_anew = True
        values = asked.columns() | (_FORGIVEN if begins_anew else {})
        await endpoint_store.write(connection, before, values)
        if asked.enabled is False:
            await endpoint_store.disable(connection, before, reason="asked", now=now)
        elif asked.enabled:
            await endpoint_store.write(connection, before, _ENABLED)
        endpoint = await found(connection, tenant, endpoint_id, clock=clock)
        await _note_change(connection, before, endpoint, actor=actor)
    lane = endpoint_lane(endpoint_id)
    for one_lane in (lane, REPLAY + lane) if begins_anew else ():
        async with database.of_tenant(tenant.id) as connection:
            await endpoint_store.trust(connection, endpoint, one_lane, now=now)
    if asked.url is not None:
        await _in_steps(database, tenant, partial(moving.move, endpoint=endpoint, now=now))
    if asked.enabled is False:
        await _in_steps(database, tenant, partial(again.hold, tenant=tenant, endpoint_id=endpoint_id))
    elif asked.enabled:
        release = partial(again.release, tenant=tenant, endpoint_id=endpoint_id, now=now)
        await _in_steps(database, tenant, release)
    bell.ring()
    return await one(database, tenant, endpoint_id, clock=clock)


async def remove(database: Database, tenant: Tenant, endpoint_id: UUID, *, actor: str, clock: Clock) -> None:
    """Nothing is sent to it any more; what was sent stays in the log."""
    now = clock()
    async with database.of_tenant(tenant.id) as connection:
        endpoint = await found(connection, tenant, endpoint_id, clock=clock, locked=True)
        await endpoint_store.remove(connection, endpoint)
        await _note(connection, endpoint, "endpoint.removed", actor=actor)
    withdraw = partial(again.withdraw, tenant=tenant, endpoint_id=endpoint_id, now=now)
    await _in_steps(database, tenant, withdraw)


async def rotate_secret(
    database: Database,
    vault: Vault,
    tenant: Tenant,
    endpoint_id: UUID,
    *,
    grace_seconds: int,
    actor: str,
    clock: Clock,
) -> list[Secret]:
    """All secrets that sign for it then, the new one last."""
    async with database.of_tenant(tenant.id) as connection:
        await found(connection, tenant, endpoint_id, clock=clock, locked=True)
        owner = Owner(tenant.id, endpoint_id)
        return await secrets.rotate(connection, vault, owner, grace_seconds=grace_seconds, actor=actor)


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


async def _note_change(connection: Connection, before: Endpoint, after: Endpoint, *, actor: str) -> None:
    """Only what is different now."""
    if changed := [name for name in _DESCRIBED_BY if getattr(after, name) != getattr(before, name)]:
        await _note(connection, after, "endpoint.changed", actor=actor, changed=changed)
    if after.is_enabled != before.is_enabled:
        action = "endpoint.enabled" if after.is_enabled else "endpoint.disabled"
        await _note(connection, after, action, actor=actor)


async def _note(connection: Connection, endpoint: Endpoint, action: str, *, actor: str, **more: Any) -> None:
    url = urlsplit(endpoint.url)
    data = {"endpoint_id": str(endpoint.id), "origin": f"{url.scheme}://{url.netloc}"} | more
    await audit.record(connection, tenant_id=endpoint.tenant_id, actor=actor, action=action, data=data)


async def _in_steps(database: Database, tenant: Tenant, step: Callable[..., Awaitable[int]]) -> None:
    """Each in a transaction of its own, which holds up nobody for long, until there is nothing left to do."""
    while True:
        async with database.of_tenant(tenant.id) as connection:
            if await step(connection) < again.STEP:
                return
