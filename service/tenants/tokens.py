"""The upstream's accounts in Postgres: tenants' own tokens, and what workers report of all accounts.

A token that is taken away leaves its row behind, without tenant and token, for the jobs that name it.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from service.database import Connection
from service.encryption import Vault
from service.ids import uuid7
from service.tenants.models import TOKENS

# By the function, since the API does not see accounts that are not its transaction's tenant's.
_TROUBLES = text("SELECT id, tenant_id, trouble, trouble_since FROM account_troubles()")


@dataclass(frozen=True, slots=True)
class Trouble:
    """An account that the upstream turns away: in its words, and since when. The platform's has no tenant."""

    token_id: UUID
    tenant_id: UUID | None
    message: str
    since: datetime


@dataclass(frozen=True, slots=True)
class OwnToken:
    """A tenant's own token, sealed, and how many jobs may be in flight with it."""

    id: UUID
    tenant_id: UUID
    sealed: bytes
    max_in_flight: int


async def own(connection: Connection) -> list[OwnToken]:
    """All tokens that tenants have of their own."""
    columns = (TOKENS.c.id, TOKENS.c.tenant_id, TOKENS.c.sealed, TOKENS.c.max_in_flight)
    query = select(*columns).where(TOKENS.c.tenant_id.is_not(None))
    return [OwnToken(*row) for row in await connection.execute(query)]


async def put(
    connection: Connection, vault: Vault, tenant_id: UUID, *, token: str, max_in_flight: int
) -> UUID:
    """Give the tenant a token of its own, or another one: the row, to which it is sealed, stays the same."""
    known = select(TOKENS.c.id).where(TOKENS.c.tenant_id == tenant_id)
    token_id: UUID = (await connection.execute(known)).scalar_one_or_none() or uuid7()
    values = {"sealed": vault.seal(token.encode(), row=token_id), "max_in_flight": max_in_flight}
    await connection.execute(
        insert(TOKENS)
        .values(id=token_id, tenant_id=tenant_id, **values)
        .on_conflict_do_update(index_elements=["id"], set_=values)
    )
    return token_id


async def remove(connection: Connection, tenant_id: UUID) -> None:
    """Take the tenant's own token away: its jobs go to the platform's, but for those under way with it."""
    nothing = {"tenant_id": None, "sealed": None, "max_in_flight": None}
    gone = update(TOKENS).where(TOKENS.c.tenant_id == tenant_id)
    await connection.execute(gone.values(**nothing, trouble=None, trouble_since=None))


async def report(connection: Connection, token_id: UUID, *, trouble: str | None) -> None:
    """Note trouble (the first of it sets the time) or, with None, that it is over."""
    since = None if trouble is None else func.coalesce(TOKENS.c.trouble_since, func.clock_timestamp())
    changed = update(TOKENS).where(TOKENS.c.id == token_id, TOKENS.c.trouble.is_distinct_from(trouble))
    await connection.execute(changed.values(trouble=trouble, trouble_since=since))


async def troubles(connection: Connection) -> list[Trouble]:
    """All accounts in trouble, but for those whose token was taken away."""
    return [Trouble(*row) for row in await connection.execute(_TROUBLES)]
