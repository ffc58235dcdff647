"""What is told by webhooks, in the API's own description: a webhook for each type of event."""

from typing import Any

from service.api import samples
from service.api.describing import ID, TEXT, TIME, json, record, ref, sent
from service.api.jobs_description import job_fields
from service.jobs.lifecycle import END_EVENTS, START, TAKE, TOLD_EVENTS
from service.jobs.telling import LARGEST_BODY
from service.webhooks.outbox import API_VERSION

UNTOLD = ("input", "delivery")
"""Fields of a job that its events do not have."""

_SUMMARIES = {
    "job.completed": "A job has ended with an output",
    "job.failed": "A job has ended with an error",
    "job.cancelled": "A job has ended because somebody asked for it",
    "job.expired": "A job has ended because its deadline came first",
    TAKE.event: "RunComfy has taken a job",
    START.event: "A job has begun to run",
}
_SAMPLES = {
    "job.completed": samples.COMPLETED,
    "job.failed": samples.FAILED,
    "job.cancelled": samples.CANCELLED,
    "job.expired": samples.EXPIRED,
    TAKE.event: samples.TAKEN,
    START.event: samples.STARTED,
}
_ANSWERS = {
    "2XX": {"description": "It arrived. What else the answer says is not read."},
    "410": {"description": "Nobody wants it here any more: it is not tried again."},
    "429": {"description": "Not now: it is tried again after `Retry-After`, a minute at least."},
    "default": {"description": "It is tried again, after 5 s, 5 min, 30 min and so on, for up to 4 days."},
}


def webhooks() -> dict[str, Any]:
    """What receivers are sent."""
    return {event: {"post": _told(event)} for event in TOLD_EVENTS}


def schemas() -> dict[str, Any]:
    """What they refer to."""
    fields = {name: field for name, field in job_fields().items() if name not in UNTOLD}
    data = record(**fields, sequence=_SEQUENCE, tenant_id=ID)
    data["properties"]["truncated"] = {
        "const": True,
        "description": f"With its output it would have more than {LARGEST_BODY:,} bytes: read the job.",
    }
    event = record(
        type={"description": "What happened.", "enum": list(TOLD_EVENTS)},
        timestamp=TIME | {"description": "When it happened."},
        api_version={"const": API_VERSION},
        data=ref("ToldJob"),
    )
    return {
        "Event": event
        | {"description": "The same bytes at every attempt.", "examples": [_example(END_EVENTS[0])]},
        "ToldJob": data | {"description": "The job, as it was then."},
    }


def _told(event: str) -> dict[str, Any]:
    usual = "Sent unless `callback_events` says otherwise." if event in END_EVENTS else "Sent on request."
    return {
        "summary": _SUMMARIES[event],
        "description": usual,
        "tags": ["Events"],
        # Nothing of the API's own: a receiver goes by the signature.
        "security": [],
        "parameters": _HEADERS,
        "requestBody": {"required": True, "content": json("Event", example=_example(event))},
        "responses": _ANSWERS,
    }


def _example(event: str) -> dict[str, Any]:
    job = _SAMPLES[event]
    at = {TAKE.event: "submitted_at", START.event: "started_at"}.get(event, "finished_at")
    data = {name: value for name, value in job.items() if name not in UNTOLD}
    data |= {"sequence": list(_SAMPLES).index(event) + 3, "tenant_id": samples.TENANT_ID}
    return {"type": event, "timestamp": job[at], "api_version": API_VERSION, "data": data}


_SEQUENCE = {
    "type": "integer",
    "minimum": 1,
    "description": "The event's number on the job's timeline: it orders events, and numbers may be missing.",
}
_HEADERS = [
    sent(
        "webhook-id",
        "The event: the same at every attempt, so that repeats can be dropped.",
        ID,
        required=True,
        example="01a20344-747d-7d97-a2c8-d6b6d3b95ee1",
    ),
    sent(
        "webhook-timestamp",
        "When this attempt was made, in Unix seconds. Refuse what is more than five minutes off.",
        {"type": "integer", "minimum": 0},
        required=True,
        example=1795351256,
    ),
    sent(
        "webhook-signature",
        "Separated by spaces, one for each secret in force: `v1,` and the base64 of the HMAC-SHA256 of"
        " `{webhook-id}.{webhook-timestamp}.{body}`; where an endpoint asks for it also `v1a,` and the base64"
        " of the Ed25519 signature of the same.",
        {"type": "string", "pattern": "^v1a?,[A-Za-z0-9+/]+={0,2}( v1a?,[A-Za-z0-9+/]+={0,2})*$"},
        required=True,
        example="v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    sent(
        "webhook-attempt",
        "Which attempt this is.",
        {"type": "integer", "minimum": 1},
        required=True,
        example=1,
    ),
    sent("user-agent", "Whose it is.", TEXT, required=True, example="edit-jobs/0.1.0"),
]
