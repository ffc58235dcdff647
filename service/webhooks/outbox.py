"""What is to be told, written in the transaction of what happened: both are committed, or neither is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from service.clock import moment
from service.database import AnyConnection
from service.webhooks.store.table import NOW

API_VERSION = "1"

# One statement, since it runs for every job. An endpoint that is removed meanwhile is none for the claim.
_RECORD = text(
    f"""
    WITH event AS (
        INSERT INTO events (id, tenant_id, mode, job_id, type, is_end, sequence, body, created_at)
        VALUES (:id, :tenant_id, :mode, :job_id, :type, :is_end, :sequence, :body, {NOW})
        RETURNING id, tenant_id, mode, job_id, created_at
    ), endpoint AS MATERIALIZED (
        SELECT id, url FROM webhook_endpoints
        WHERE tenant_id = :tenant_id AND mode = :mode AND disabled_at IS NULL AND :type = ANY (events)
    )
    INSERT INTO webhook_deliveries (id, tenant_id, mode, event_id, job_id, endpoint_id, url, origin,
                                    due_at, created_at, gives_up_at)
    SELECT uuidv7(), event.tenant_id, event.mode, event.id, event.job_id, way.endpoint_id, way.url,
           way.origin, event.created_at, event.created_at, event.created_at + interval '4 days'
    FROM event, (
        SELECT id AS endpoint_id, url, 'endpoint:' || id AS origin FROM endpoint
        UNION ALL
        SELECT NULL, :url, :origin
        WHERE CAST(:url AS text) IS NOT NULL AND NOT EXISTS (SELECT FROM endpoint WHERE url = :url)
    ) AS way
    """  # noqa: S608  only constants of ours are put into it
)
_KEEP = text(
    f"""
    INSERT INTO events (id, tenant_id, mode, type, is_end, body, created_at)
    VALUES (:id, :tenant_id, :mode, :type, FALSE, :body, {NOW})
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that is told. Its id is made with `uuid7`; the bytes of its body never change any more."""

    id: UUID
    tenant_id: UUID
    mode: str
    job_id: UUID
    type: str
    is_end: bool
    sequence: int
    body: bytes


def envelope(event: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    """What is around the data of every event."""
    return {"type": event, "timestamp": moment(at), "api_version": API_VERSION, "data": data}


async def record(connection: AnyConnection, event: Event, url: str | None, *, now: datetime | None) -> None:
    """Keep the event, with a delivery for each endpoint that wants it and one for the job's own URL, due at
    once.

    The same URL gets one, the endpoint's. The caller commits.
    """
    given: dict[str, Any] = {name: getattr(event, name) for name in Event.__slots__}
    given |= {"url": url, "origin": None if url is None else _origin(url), "now": now}
    await connection.execute(_RECORD, given)


async def keep(
    connection: AnyConnection,
    event: str,
    data: dict[str, Any],
    *,
    id: UUID,  # noqa: A002  as in the event
    tenant_id: UUID,
    mode: str,
    at: datetime,
) -> None:
    """Keep an event that is about no job and goes nowhere but on the feed. The caller commits."""
    body = msgspec.json.encode(envelope(event, at, data))
    given = {"id": id, "tenant_id": tenant_id, "mode": mode, "type": event, "body": body, "now": at}
    await connection.execute(_KEEP, given)


def _origin(url: str) -> str:
    """Scheme, host and port as written. Takes any text: an odd URL must not keep a job from its end."""
    scheme, _, rest = url.partition("://")
    authority = rest.replace("?", "/").partition("/")[0]
    return f"{scheme}://{authority}".lower()
