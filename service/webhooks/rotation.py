"""What is rotated lives on for a while beside its successor: secrets and service keys alike.

At most `MOST_LIVE` of them are live at once: one more ends the oldest at once. To refuse it would leave
nobody a way to replace what has leaked; whoever rotates is told what is still in force.
"""

from typing import Any

from sqlalchemy import ColumnElement, Double, Table, delete, func, literal, or_, select, update

from service.database import Connection

MOST_LIVE = 3


def is_live(table: Table) -> ColumnElement[bool]:
    """Whether a row of this table is in force; ends are compared with Postgres's clock."""
    return or_(table.c.expires_at.is_(None), table.c.expires_at > func.clock_timestamp())


async def make_room(
    connection: Connection, table: Table, *of: ColumnElement[bool], grace_seconds: float
) -> None:
    """Before a successor is inserted: those of these rows that are live end when the grace is over.

    All of them, not only the newest: with no grace nothing that was known before signs any more. What has
    ended is deleted. The caller keeps others from doing the same at the same time.
    """
    ending: Any = func.clock_timestamp() + func.make_interval(
        0, 0, 0, 0, 0, 0, literal(grace_seconds, Double)
    )
    sooner = func.least(table.c.expires_at, ending)  # of an end that is null it is the other one
    await connection.execute(update(table).where(*of).values(expires_at=sooner))
    newest = select(table.c.id).where(*of, is_live(table)).order_by(table.c.id.desc()).limit(MOST_LIVE - 1)
    await connection.execute(delete(table).where(*of, table.c.id.not_in(newest)))
