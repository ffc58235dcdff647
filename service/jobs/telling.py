"""What callers are told of a job, written in the transaction of what happened.

A committed end without its event, or an event without the committed end, cannot exist. The body is frozen
here: every attempt, redelivery and endpoint gets the same bytes.
"""

from datetime import datetime

import msgspec

from service.database import AnyConnection
from service.ids import uuid7
from service.jobs import view
from service.jobs.job import Job
from service.jobs.lifecycle import END_EVENTS, START, TAKE, TOLD_EVENTS
from service.webhooks import outbox
from service.webhooks.wanted import Wanted

LARGEST_BODY = 20_000
"""Bytes. Over that the body says `truncated` and where to read the job, instead of its output."""


async def is_told(job: Job, event: str, wanted: Wanted) -> bool:
    """Whether this is recorded for callers: every end; what else the job's callback or an endpoint wants."""
    if event in END_EVENTS or _is_for_callback(job, event):
        return True
    return event in TOLD_EVENTS and event in await wanted.by_endpoints(job.tenant_id, job.mode)


async def tell(connection: AnyConnection, job: Job, event: str, *, public_url: str) -> None:
    """Record what happened to the job, as it is after it, for its own URL and for the endpoints."""
    at = _moment(job, event)
    record = outbox.Event(
        id=uuid7(),
        tenant_id=job.tenant_id,
        mode=job.mode,
        job_id=job.id,
        type=event,
        is_end=event in END_EVENTS,
        sequence=job.sequence,
        body=_body(job, event, at, public_url=public_url),
    )
    url = job.callback_url if _is_for_callback(job, event) else None
    await outbox.record(connection, record, url, now=at)


def _is_for_callback(job: Job, event: str) -> bool:
    return job.callback_url is not None and event in job.callback_events


def _moment(job: Job, event: str) -> datetime:
    at = {TAKE.event: job.submitted_at, START.event: job.started_at}.get(event, job.finished_at)
    assert at is not None, "a move writes its time"
    return at


def _body(job: Job, event: str, at: datetime, *, public_url: str) -> bytes:
    """The bytes that are signed and sent."""
    data = view.told(job, public_url=public_url)
    encoded = msgspec.json.encode(outbox.envelope(event, at, data))
    if len(encoded) <= LARGEST_BODY:
        return encoded
    return msgspec.json.encode(outbox.envelope(event, at, data | {"output": None, "truncated": True}))
