"""Places in the feed of events, stamped after the commit."""

from sqlalchemy import text

from service.database import AnyConnection
from service.database.locks import FEED

MOST = 1000
"""Events in one statement."""

# One stamper at a time: what a later one stamps gets higher numbers, so a reader of stamped rows misses
# nothing, in whatever order transactions commit. A stamper that began before another one ended may see rows
# unstamped that no longer are; Postgres looks at the row again before it writes.
_STAMP = text(
    f"""
    WITH turn AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock({FEED}) AS mine
    )
    UPDATE events SET position = unplaced.position
    FROM (SELECT id, nextval('event_positions') AS position
          FROM (SELECT id FROM events WHERE position IS NULL AND (SELECT mine FROM turn)
                ORDER BY id LIMIT {MOST}) AS first) AS unplaced
    WHERE events.id = unplaced.id AND events.position IS NULL
    RETURNING events.id
    """
)


async def stamp(connection: AnyConnection) -> int:
    """Give committed events their places, unless somebody else is at it; returns how many."""
    return len((await connection.execute(_STAMP, {})).all())
