"""What has not arrived goes to the URL that its endpoint has now."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import UniqueViolationError
from sqlalchemy import TextClause, text
from sqlalchemy.exc import IntegrityError

from service.database import AnyConnection, Connection, run
from service.database.base import NOW
from service.webhooks.endpoint import Endpoint
from service.webhooks.store.again import STEP


def _move(which: str) -> TextClause:
    """A URL gets an event once: what goes to the new one already, as a job's own, is not sent there twice."""
    return text(
        f"""
        WITH locked AS MATERIALIZED (
            SELECT delivery.id, event_id, endpoint.url,
                   EXISTS (SELECT FROM webhook_deliveries AS other
                           WHERE other.event_id = delivery.event_id AND md5(other.url) = md5(endpoint.url))
                   AS is_told
            FROM webhook_deliveries AS delivery
            JOIN webhook_endpoints AS endpoint ON endpoint.id = delivery.endpoint_id
            WHERE {which} AND delivery.url <> endpoint.url
            LIMIT {STEP} FOR UPDATE OF delivery SKIP LOCKED
        ), few AS (
            SELECT id, url, is_told OR row_number() OVER (PARTITION BY event_id ORDER BY id) > 1 AS is_told
            FROM locked
        ), cancelled AS (
            UPDATE webhook_deliveries AS delivery
            SET status = 'cancelled', in_line = FALSE, finished_at = {NOW}
            FROM few WHERE delivery.id = few.id AND is_told
        ), moved AS (
            UPDATE webhook_deliveries AS delivery SET url = few.url
            FROM few WHERE delivery.id = few.id AND NOT is_told
        )
        SELECT count(*) FROM few
        """
    )


# What is on the wire follows when it is claimed again, should it not arrive.
_OF_ENDPOINT = _move(
    "delivery.tenant_id = :tenant_id AND endpoint_id = :id AND status IN ('pending', 'held')"
)
_THESE = _move("delivery.id = ANY (CAST(:ids AS uuid[])) AND status = 'pending'")


async def move(connection: Connection, endpoint: Endpoint, *, now: datetime | None) -> int:
    """All that waits for it; returns how many, `STEP` at most and if there may be more."""
    given = {"id": endpoint.id, "tenant_id": endpoint.tenant_id, "now": now}
    row = await _moved(connection, _OF_ENDPOINT, given)
    return STEP if row is None else row[0]


async def move_these(connection: AnyConnection, due: Collection[UUID], *, at: datetime) -> None:
    """Those of these that nobody else has locked."""
    await _moved(connection, _THESE, {"ids": list(due), "now": at})


async def _moved(connection: AnyConnection, statement: TextClause, given: Mapping[str, Any]) -> Any:
    """The answer; None if the URL was just then given an event of theirs, by a replay or another move.

    That is seen when they are looked at again.
    """
    await run(connection, "SAVEPOINT moving")
    try:
        return (await connection.execute(statement, given)).one_or_none()
    except (UniqueViolationError, IntegrityError):
        await run(connection, "ROLLBACK TO SAVEPOINT moving")
        return None
