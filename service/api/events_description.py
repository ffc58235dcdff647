"""What is told by webhooks, in the API's own description: a webhook for each type of event."""

from typing import Any

from service.api import samples
from service.api.describing import ID, TEXT, TIME, json, record, ref, sent
from service.api.jobs_description import job_fields
from service.jobs.lifecycle import END_EVENTS, START, TAKE, TOLD_EVENTS
from service.jobs.telling import LARGEST_BODY
from service.tenants.keys import MODES
from service.webhooks import trial
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
    told = {event: _told(event) for event in TOLD_EVENTS} | {trial.TYPE: _TRIAL}
    return {event: {"post": post} for event, post in told.items()}


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
        "TestEvent": record(
            type={"const": trial.TYPE},
            timestamp=TIME,
            api_version={"const": API_VERSION},
            data=record(endpoint_id=ID, tenant_id=ID, mode={"enum": list(MODES)}, message=TEXT),
        ),
    }


def _told(event: str) -> dict[str, Any]:
    usual = "`callback_events`, or an endpoint's `events`"
    when = f"Sent unless {usual}, say otherwise." if event in END_EVENTS else f"Sent where {usual}, name it."
    return _post(_SUMMARIES[event], when, json("Event", example=_example(event)))


def _post(summary: str, when: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "description": when,
        "tags": ["Events"],
        # Nothing of the API's own: a receiver goes by the signature.
        "security": [],
        "parameters": _HEADERS,
        "requestBody": {"required": True, "content": content},
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
_TRIAL = _post(
    "Somebody asked whether this arrives",
    "Sent once to an endpoint by `POST /v1/webhook-endpoints/{endpoint_id}/test`, and never again.",
    json(
        "TestEvent",
        example={
            "type": trial.TYPE,
            "timestamp": samples.COMPLETED["finished_at"],
            "api_version": API_VERSION,
            "data": {
                "endpoint_id": samples.JOB_ID,
                "tenant_id": samples.TENANT_ID,
                "mode": "live",
                "message": trial.MESSAGE,
            },
        },
    ),
)
