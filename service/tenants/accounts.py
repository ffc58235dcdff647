"""A tenant's own account with the upstream, as operators set it: its token goes in, and never comes out."""

from uuid import UUID

from service.database import Connection
from service.database.locks import take_named
from service.encryption import Vault
from service.tenants import audit, store, tokens


async def entrust(
    connection: Connection, vault: Vault, tenant_id: UUID, *, token: str, max_in_flight: int, actor: str
) -> None:
    """Give the tenant a token of its own, or another one, which jobs under way are then read with.

    Raises NotFoundError.
    """
    await take_named(connection, f"account of {tenant_id}")
    is_new = (await store.one(connection, tenant_id)).account is None
    await tokens.put(connection, vault, tenant_id, token=token, max_in_flight=max_in_flight)
    await audit.record(
        connection,
        tenant_id=tenant_id,
        actor=actor,
        action="token.set" if is_new else "token.rotated",
        data={"max_in_flight": max_in_flight},
    )


async def withdraw(connection: Connection, tenant_id: UUID, *, actor: str) -> None:
    """Let the tenant use the platform's account again; again is no error. Raises NotFoundError."""
    await take_named(connection, f"account of {tenant_id}")
    if (await store.one(connection, tenant_id)).account is None:
        return
    await tokens.remove(connection, tenant_id)
    await audit.record(connection, tenant_id=tenant_id, actor=actor, action="token.removed")
