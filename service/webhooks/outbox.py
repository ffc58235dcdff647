"""What is to be told, written in the transaction of what happened: both are committed, or neither is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from service.database import AnyConnection
from service.ids import uuid7
from service.webhooks.store import NOW

_RECORD = text(
    f"""
    WITH event AS (
        INSERT INTO events (id, tenant_id, mode, job_id, type, is_end, sequence, body, created_at)
        VALUES (:id, :tenant_id, :mode, :job_id, :type, :is_end, :sequence, :body, {NOW})
        RETURNING id, tenant_id, job_id, created_at
    )
    INSERT INTO webhook_deliveries (id, tenant_id, event_id, job_id, url, origin, due_at, created_at)
    SELECT way.id, event.tenant_id, event.id, event.job_id, way.url, way.origin,
           event.created_at, event.created_at
    FROM event,
         unnest(CAST(:ids AS uuid[]), CAST(:urls AS text[]), CAST(:origins AS text[]))
         AS way (id, url, origin)
    """  # noqa: S608  only constants of ours are put into it
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


async def record(
    connection: AnyConnection, event: Event, urls: Sequence[str], *, now: datetime | None
) -> None:
    """Keep the event, and one delivery for each different URL, due at once. The caller commits."""
    ways = list(dict.fromkeys(urls))
    given = {name: getattr(event, name) for name in Event.__slots__} | {
        "ids": [uuid7() for _ in ways],
        "urls": ways,
        "origins": [_origin(url) for url in ways],
        "now": now,
    }
    await connection.execute(_RECORD, given)


def _origin(url: str) -> str:
    """Scheme, host and port as written. Takes any text: an odd URL must not keep a job from its end."""
    scheme, _, rest = url.partition("://")
    authority = rest.replace("?", "/").partition("/")[0]
    return f"{scheme}://{authority}".lower()
