"""The upstream's accounts in Postgres: what workers report of them, for operators to see."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, func, text, update

from service.database import Connection
from service.tenants.models import UpstreamTokenRow

TOKENS = cast("Table", UpstreamTokenRow.__table__)

# By the function, since the API does not see accounts that are not its transaction's tenant's.
_TROUBLES = text("SELECT id, trouble, trouble_since FROM account_troubles()")


@dataclass(frozen=True, slots=True)
class Trouble:
    """An account that the upstream turns away: in its words, and since when."""

    token_id: UUID
    message: str
    since: datetime


async def report(connection: Connection, token_id: UUID, *, trouble: str | None) -> None:
    """Note trouble (the first of it sets the time) or, with None, that it is over."""
    since = None if trouble is None else func.coalesce(TOKENS.c.trouble_since, func.clock_timestamp())
    changed = update(TOKENS).where(TOKENS.c.id == token_id, TOKENS.c.trouble.is_distinct_from(trouble))
    await connection.execute(changed.values(trouble=trouble, trouble_since=since))


async def troubles(connection: Connection) -> list[Trouble]:
    """All accounts in trouble."""
    return [Trouble(*row) for row in await connection.execute(_TROUBLES)]
