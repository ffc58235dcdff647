"""Which events the endpoints of a tenant want, remembered: asked before each move of each job."""

import time
from uuid import UUID

from sqlalchemy import text

from service.database import Database

REMEMBERED_SECONDS = 5.0
"""A change takes effect everywhere within that."""
_MOST_REMEMBERED = 10_000

_WANTED = text(
    """
    SELECT DISTINCT unnest(events) FROM webhook_endpoints
    WHERE tenant_id = :tenant_id AND mode = :mode AND disabled_at IS NULL
    """
)


class Wanted:
    """What some enabled endpoint of a tenant and mode asks for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[UUID, str], tuple[float, frozenset[str]]] = {}

    async def by_endpoints(self, tenant_id: UUID, mode: str) -> frozenset[str]:
        """The types of events, as of a few seconds ago at most."""
        now = time.monotonic()
        until, types = self._known.get((tenant_id, mode), (0.0, frozenset[str]()))
        if until < now:
            async with self._database.hot_statement() as connection:
                rows = await connection.execute(_WANTED, {"tenant_id": tenant_id, "mode": mode})
            types = frozenset(row[0] for row in rows)
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[tenant_id, mode] = (now + REMEMBERED_SECONDS, types)
        return types
