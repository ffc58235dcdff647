"""Postgres's advisory locks, all but that of migrations: whoever takes the same one waits for whoever has it.

They end with the transaction, but for that of pruning, which ends with its connection. The numbers are any:
they part these locks from others taken in the same database.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.database.driver import Driver, run

_OURS = 7_346_012
API_ROLES = f"{_OURS}"
"""Letting the API's role in."""
PRUNING = f"{_OURS + 1}"
"""Removing what is old."""
SENDERS = f"{_OURS}, 1"
"""Claiming and settling deliveries."""
FEED = f"{_OURS}, 2"
"""Stamping events with their places in the feed."""

_NAMED = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:name AS text), 0))")


def of_account(token_id: UUID) -> str:
    """Claiming jobs for this account of the upstream."""
    return f"{_OURS}, hashtext('{token_id}')"


async def take_lock(connection: AsyncConnection | Driver, lock: str) -> None:
    """Take it until the transaction ends, best as its first statement."""
    await run(connection, f"SELECT pg_advisory_xact_lock({lock})")


async def take_named(connection: AsyncConnection, name: str) -> None:
    """The same for a lock that a few words name: what it is of, and whose."""
    await connection.execute(_NAMED, {"name": name})
