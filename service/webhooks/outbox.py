"""What is to be told, written in the transaction of what happened: both are committed, or neither is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from service.clock import moment
from service.database import AnyConnection
from service.database.base import NOW
from service.webhooks.store.table import id_like

API_VERSION = "1"

# One statement for all that is told in a transaction, since it runs for every job. An endpoint that is
# removed meanwhile is none for the claim.
_WANTS = """
    endpoint.tenant_id = event.tenant_id AND endpoint.mode = event.mode AND endpoint.disabled_at IS NULL
    AND event.type = ANY (endpoint.events)
"""
_RECORD = text(
    f"""
    WITH given AS (
        SELECT * FROM unnest(
            CAST(:id AS uuid[]), CAST(:tenant_id AS uuid[]), CAST(:mode AS text[]), CAST(:job_id AS uuid[]),
            CAST(:type AS text[]), CAST(:is_end AS bool[]), CAST(:sequence AS int[]),
            CAST(:body AS bytea[]), CAST(:url AS text[]), CAST(:origin AS text[]),
            CAST(:now AS timestamptz[])
        ) AS given (id, tenant_id, mode, job_id, type, is_end, sequence, body, url, origin, now)
    ), event AS (
        INSERT INTO events (id, tenant_id, mode, job_id, type, is_end, sequence, body, created_at)
        SELECT id, tenant_id, mode, job_id, type, is_end, sequence, body, coalesce(now, clock_timestamp())
        FROM given
        RETURNING id, tenant_id, mode, job_id, type, created_at
    )
    INSERT INTO webhook_deliveries (id, tenant_id, mode, event_id, job_id, endpoint_id, url, origin,
                                    due_at, created_at, gives_up_at)
    SELECT {id_like("event.id")}, event.tenant_id, event.mode, event.id, event.job_id, way.endpoint_id,
           way.url, way.origin, event.created_at, event.created_at, event.created_at + interval '4 days'
    FROM event JOIN given ON given.id = event.id CROSS JOIN LATERAL (
        SELECT endpoint.id AS endpoint_id, endpoint.url, 'endpoint:' || endpoint.id AS origin
        FROM webhook_endpoints AS endpoint WHERE {_WANTS}
        UNION ALL
        SELECT NULL, given.url, given.origin
        WHERE given.url IS NOT NULL
          AND NOT EXISTS (SELECT FROM webhook_endpoints AS endpoint
                          WHERE {_WANTS} AND endpoint.url = given.url)
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
    await record_all(connection, [(event, url, now)])


async def record_all(
    connection: AnyConnection, told: Sequence[tuple[Event, str | None, datetime | None]]
) -> None:
    """The same for several events, each with the job's own URL and its time."""
    given: dict[str, Any] = {name: [getattr(one, name) for one, _, _ in told] for name in Event.__slots__}
    given["url"] = [url for _, url, _ in told]
    given["origin"] = [None if url is None else _origin(url) for url in given["url"]]
    given["now"] = [now for _, _, now in told]
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
