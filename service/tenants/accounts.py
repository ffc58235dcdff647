"""A tenant's own account with the upstream, as operators set it: its token goes in, and never comes out."""

from uuid import UUID

from sqlalchemy import text

from service.database import Connection
from service.encryption import Vault
from service.tenants import audit, store, tokens

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('account of ' || :tenant, 0))")


async def entrust(
    connection: Connection, vault: Vault, tenant_id: UUID, *, token: str, max_in_flight: int, actor: str
) -> None:
    """Give the tenant a token of its own, or another one, which jobs under way are then read with.

    Raises NotFoundError.
    """
    await connection.execute(_ONE_AT_A_TIME, {"tenant": str(tenant_id)})
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
    await connection.execute(_ONE_AT_A_TIME, {"tenant": str(tenant_id)})
    if (await store.one(connection, tenant_id)).account is None:
        return
    await tokens.remove(connection, tenant_id)
    await audit.record(connection, tenant_id=tenant_id, actor=actor, action="token.removed")
