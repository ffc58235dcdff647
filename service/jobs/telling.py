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
from service.jobs.lifecycle import END_EVENTS, START, TAKE
from service.webhooks import outbox

API_VERSION = "1"
LARGEST_BODY = 20_000
"""Bytes. Over that the body says `truncated` and where to read the job, instead of its output."""


def is_told(job: Job, event: str) -> bool:
    """Whether this is recorded for callers: every end, and what the job's callback wants besides."""
    return event in END_EVENTS or (job.callback_url is not None and event in job.callback_events)


async def tell(connection: AnyConnection, job: Job, event: str, *, public_url: str) -> None:
    """Record what happened to the job, as it is after it, and its delivery to the job's own URL."""
    if not is_told(job, event):
        return
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
    urls = [job.callback_url] if job.callback_url and event in job.callback_events else []
    await outbox.record(connection, record, urls, now=at)


def _moment(job: Job, event: str) -> datetime:
    at = {TAKE.event: job.submitted_at, START.event: job.started_at}.get(event, job.finished_at)
    assert at is not None, "a move writes its time"
    return at


def _body(job: Job, event: str, at: datetime, *, public_url: str) -> bytes:
    """The bytes that are signed and sent."""
    data = view.told(job, public_url=public_url)
    envelope = {"type": event, "timestamp": view.moment(at), "api_version": API_VERSION, "data": data}
    encoded = msgspec.json.encode(envelope)
    if len(encoded) <= LARGEST_BODY:
        return encoded
    return msgspec.json.encode(envelope | {"data": data | {"output": None, "truncated": True}})
