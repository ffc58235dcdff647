"""What was told is removed once it is old and nothing of it is still to be delivered: attempts, deliveries,
events; and secrets that have not signed for as long.

Events about jobs go with their jobs, all others by their age.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import TextClause, text

from service.database import Connection
from service.webhooks.models import ENDED_DELIVERIES


class _About:
    """Statements about the events that have one of `:ids` in a column, and about their deliveries."""

    def __init__(self, event: str, delivery: str) -> None:
        events = f"events WHERE {event} = ANY (CAST(:ids AS uuid[]))"
        deliveries = f"webhook_deliveries AS delivery WHERE {delivery} = ANY (CAST(:ids AS uuid[]))"
        still_open = f"delivery.status NOT IN ({ENDED_DELIVERIES})"
        # With their events locked no delivery is added, and with these locked none is taken up again.
        self.lock = _texts(
            f"SELECT FROM {events} ORDER BY id FOR UPDATE",
            f"SELECT FROM {deliveries} ORDER BY id FOR UPDATE",
        )
        self.undelivered = text(f"SELECT DISTINCT {delivery} FROM {deliveries} AND {still_open}")
        self.remove = _texts(
            f"DELETE FROM webhook_attempts WHERE delivery_id IN (SELECT id FROM {deliveries})",
            f"DELETE FROM {deliveries}",
            f"DELETE FROM {events}",
        )


def _texts(*statements: str) -> tuple[TextClause, ...]:
    return tuple(text(statement) for statement in statements)


_ABOUT_JOBS, _THEMSELVES = _About("job_id", "job_id"), _About("id", "event_id")
_SCAN = text(
    """
    SELECT id, job_id IS NULL AND created_at < :before AS is_old FROM events
    WHERE id > :after AND id < :last ORDER BY id LIMIT :most
    """
)
_OLD_SECRETS = "FROM webhook_secrets WHERE expires_at < :before"
_COUNT_SECRETS, _REMOVE_SECRETS = _texts(f"SELECT count(*) {_OLD_SECRETS}", f"DELETE {_OLD_SECRETS}")


async def undelivered(connection: Connection, job_ids: Sequence[UUID], *, lock: bool) -> set[UUID]:
    """Those of these jobs of which something is still to be delivered, or held until it may be.

    With `lock` that stays so, for what is there of all of them, until the transaction ends.
    """
    return await _undelivered(connection, _ABOUT_JOBS, job_ids, lock=lock)


async def remove_about(connection: Connection, job_ids: Sequence[UUID]) -> None:
    """Remove what was told about these jobs; the caller has locked it, and commits."""
    await _remove(connection, _ABOUT_JOBS, job_ids)


async def scan(
    connection: Connection, *, after: UUID, last: UUID, before: datetime, most: int
) -> tuple[list[UUID], UUID | None]:
    """Of the next events those about no job that happened `before`; and where to go on, if anywhere."""
    given = {"after": after, "last": last, "before": before, "most": most}
    rows = (await connection.execute(_SCAN, given)).all()
    return [row.id for row in rows if row.is_old], rows[-1].id if len(rows) == most else None


async def remove(connection: Connection, event_ids: Sequence[UUID], *, is_dry: bool) -> int:
    """Remove those of these events of which nothing is to be delivered; how many. The caller commits."""
    open_ones = await _undelivered(connection, _THEMSELVES, event_ids, lock=not is_dry)
    old = [event_id for event_id in event_ids if event_id not in open_ones]
    if not is_dry:
        await _remove(connection, _THEMSELVES, old)
    return len(old)


async def remove_secrets(connection: Connection, *, before: datetime, is_dry: bool) -> int:
    """Remove secrets that have not signed since then; how many."""
    if is_dry:
        return int((await connection.execute(_COUNT_SECRETS, {"before": before})).scalar_one())
    return (await connection.execute(_REMOVE_SECRETS, {"before": before})).rowcount


async def _undelivered(
    connection: Connection, about: _About, ids: Sequence[UUID], *, lock: bool
) -> set[UUID]:
    if lock:
        for statement in about.lock:
            await connection.execute(statement, {"ids": list(ids)})
    return set((await connection.execute(about.undelivered, {"ids": list(ids)})).scalars())


async def _remove(connection: Connection, about: _About, ids: Sequence[UUID]) -> None:
    for statement in about.remove:
        await connection.execute(statement, {"ids": list(ids)})
