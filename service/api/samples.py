"""One job, as examples of the API's own description show it; tests hold every example against its schema."""

from typing import Any

from service.catalogue import DEFAULT_MODEL, all_models
from service.jobs.lifecycle import END_EVENTS

JOB_ID = "01a20344-61ba-7e02-a9cd-0dbcbb29cc31"
TENANT_ID = "01a20343-9c1e-7f3a-8b1d-2f7c5d90aa41"
HOST = "https://jobs.example.com"

INPUT: dict[str, Any] = {
    "prompt": "Make it a rainy evening, with lights in the windows",
    "image_urls": ["https://example.com/house.jpg"],
}
REQUEST: dict[str, Any] = {
    "model": DEFAULT_MODEL,
    "input": INPUT,
    "callback_url": "https://example.com/hooks/edits",
    "callback_events": list(END_EVENTS),
    "external_id": "order-17",
    "metadata": {"team": "ads"},
    "priority": "normal",
    "expires_in": 3600,
    "on_unconfirmed": "fail",
}
OUTPUT = {"images": ["https://example.com/outputs/house-rainy.png"]}


def _job(**changed: Any) -> dict[str, Any]:
    (model,) = [model for model in all_models() if model.id == DEFAULT_MODEL]
    url = f"{HOST}/v1/jobs/{JOB_ID}"
    return {
        "id": JOB_ID,
        "model": DEFAULT_MODEL,
        "status": "accepted",
        "input": model.input.filled(INPUT),
        "output": None,
        "error": None,
        "warnings": [],
        "external_id": "order-17",
        "metadata": {"team": "ads"},
        "priority": "normal",
        "retry_of": None,
        "queue_position": None,
        "waiting_for": None,
        "cancel": None,
        "upstream_request_id": None,
        "cost_usd": None,
        "created_at": "2026-11-22T12:40:49.542035Z",
        "submitted_at": None,
        "started_at": None,
        "finished_at": None,
        "expires_at": "2026-11-22T13:40:49.542035Z",
        "mode": "live",
        "delivery": None,
        "urls": {"self": url, "cancel": f"{url}/cancel", "events": f"{url}/events"},
    } | changed


ACCEPTED = _job()
COMPLETED = _job(
    status="completed",
    output=OUTPUT,
    upstream_request_id="9d2411ea-8db0-47fe-9faa-2ac4aac6c3c9",
    cost_usd=0.012,
    submitted_at="2026-11-22T12:40:50.731102Z",
    started_at="2026-11-22T12:40:51.904417Z",
    finished_at="2026-11-22T12:40:56.118230Z",
    delivery={"url": "https://example.com/hooks/edits", "status": "delivered", "attempts": 1},
)
FAILED = COMPLETED | {
    "status": "failed",
    "output": None,
    "cost_usd": None,
    "error": {
        "code": "upstream_failed",
        "message": "The provider could not read the picture.",
        "retryable": False,
        "may_be_charged": True,
        "upstream": {"http_status": 200, "error_code": None},
    },
}
TAKEN = COMPLETED | {
    "status": "in_queue",
    "output": None,
    "cost_usd": None,
    "started_at": None,
    "finished_at": None,
    "delivery": None,
}
STARTED = TAKEN | {"status": "in_progress", "started_at": COMPLETED["started_at"]}
EXPIRED = STARTED | {
    "status": "expired",
    "finished_at": ACCEPTED["expires_at"],
    "error": {
        "code": "expired",
        "message": "The job was still in_progress at its deadline.",
        "retryable": False,
        "may_be_charged": True,
        "upstream": None,
    },
}
CANCELLED = _job(status="cancelled", finished_at="2026-11-22T12:40:50.002113Z")
CANCELLING = TAKEN | {
    "queue_position": 3,
    "cancel": {"requested_at": "2026-11-22T12:40:51.000000Z", "outcome": "pending"},
}
RETRY = ACCEPTED | {"id": "01a20351-0c6e-7d1b-9e55-b3c40c2f8a17", "retry_of": JOB_ID}
RETRY["urls"] = {name: url.replace(JOB_ID, RETRY["id"]) for name, url in ACCEPTED["urls"].items()}
TIMELINE = {
    "data": [
        {"sequence": 1, "type": "job.accepted", "at": "2026-11-22T12:40:49.542035Z", "data": {}},
        {"sequence": 2, "type": "job.submitting", "at": "2026-11-22T12:40:49.612765Z", "data": {"submit": 1}},
    ]
}
