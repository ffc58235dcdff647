"""Our own calls about jobs in the API's own description: paths, and the schemas they name."""

from typing import Any

from service import catalogue
from service.api import listing
from service.api.describing import ID, OBJECT, TEXT, TIME, answer, call, or_null, record, ref
from service.jobs.idempotency import HEADER, LONGEST_KEY, REPLAYED_HEADER
from service.jobs.lifecycle import Status
from service.jobs.models import CANCEL_OUTCOMES, PRIORITIES, WAITS
from service.schema import Schema
from service.tenants.keys import MODES
from service.webhooks.models import DELIVERY_STATUSES


def paths() -> dict[str, Any]:
    """All paths."""
    job = answer("The job.", "Job")
    return {
        "/v1/jobs": {
            "post": call(
                "Accept a job",
                {
                    "202": _at_location(job),
                    "200": _replayed("The job that this Idempotency-Key made before.", job),
                },
                refused=(400, 404, 413, 415, 422),
                body="Request",
            )
            | {"parameters": [_IDEMPOTENCY_KEY]},
            "get": call("List jobs", {"200": answer("A page, newest first.", "Page")}, refused=(400,))
            | {"parameters": listing.DESCRIBED},
        },
        "/v1/jobs/{job_id}": {
            "get": call("Show a job", {"200": job}, refused=(400, 404)),
            "delete": call(
                "Delete a job that has ended",
                {"204": {"description": "It is gone; also if it was before."}},
                refused=(400, 404, 409),
            ),
            "parameters": [_JOB_ID],
        },
        "/v1/jobs/{job_id}/cancel": {
            "post": call("Cancel a job", {"200": job, "202": job}, refused=(400, 404, 409)),
            "parameters": [_JOB_ID],
        },
        "/v1/jobs/{job_id}/retry": {
            "post": call(
                "Ask for a job once more",
                {
                    "202": _at_location(answer("A new job with the same request.", "Job")),
                    "200": _at_location(answer("The retry that was made before.", "Job")),
                },
                refused=(400, 404, 409),
            ),
            "parameters": [_JOB_ID],
        },
        "/v1/jobs/{job_id}/events": {
            "get": call(
                "Show what happened to a job",
                {"200": answer("The timeline, oldest first.", "Timeline")},
                refused=(400, 404, 406),
            ),
            "parameters": [_JOB_ID],
        },
    }


def schemas(request: Schema) -> dict[str, Any]:
    """What the paths refer to; `request` is the schema of a request for a job."""
    return {
        "Request": _request(request),
        "Job": _job(),
        "Page": record(data={"type": "array", "items": ref("Job")}, next_cursor=or_null(TEXT)),
        "Timeline": record(data={"type": "array", "items": _ENTRY}),
    }


def _request(request: Schema) -> dict[str, Any]:
    inputs = [model.input.document for model in catalogue.all_models()]
    properties = request.document["properties"]
    return request.document | {"properties": properties | {"input": {"anyOf": inputs}}}


def _job() -> dict[str, Any]:
    cancel = record(requested_at=TIME, outcome={"enum": list(CANCEL_OUTCOMES)})
    upstream = record(http_status=or_null({"type": "integer"}), error_code=or_null({"type": "integer"}))
    error = record(
        code=TEXT,
        message=TEXT,
        retryable={"type": "boolean"},
        may_be_charged={"type": "boolean"},
        upstream=or_null(upstream),
    )
    delivery = record(url=TEXT, status={"enum": list(DELIVERY_STATUSES)}, attempts={"type": "integer"})
    return record(
        id=ID,
        model=TEXT,
        status={"enum": list(Status)},
        input=OBJECT,
        output=or_null({"anyOf": [dict(model.output) for model in catalogue.all_models()]}),
        error=or_null(error),
        warnings={"type": "array", "items": record(pointer=TEXT, message=TEXT)},
        external_id=or_null(TEXT),
        metadata=OBJECT | {"additionalProperties": TEXT},
        priority={"enum": list(PRIORITIES)},
        retry_of=or_null(ID),
        queue_position=or_null({"type": "integer"}),
        waiting_for=or_null({"enum": ["tenant_limit", *WAITS]}),
        cancel=or_null(cancel),
        upstream_request_id=or_null(TEXT),
        cost_usd=or_null({"type": "number"}),
        created_at=TIME,
        submitted_at=or_null(TIME),
        started_at=or_null(TIME),
        finished_at=or_null(TIME),
        expires_at=TIME,
        mode={"enum": list(MODES)},
        delivery=or_null(delivery),
        urls=record(self=TEXT, cancel=TEXT, events=TEXT),
    )


def _at_location(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"headers": {"Location": {"description": "The job's URL.", "schema": TEXT}}}


def _replayed(description: str, job: dict[str, Any]) -> dict[str, Any]:
    answer = _at_location(job | {"description": description})
    return answer | {"headers": answer["headers"] | {REPLAYED_HEADER: {"schema": {"const": "true"}}}}


_ENTRY = record(sequence={"type": "integer"}, type=TEXT, at=TIME, data=OBJECT)
_JOB_ID = {"name": "job_id", "in": "path", "required": True, "schema": ID}
_IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "description": "The same request again with the same key, for a day, makes no second job.",
    "schema": {"type": "string", "pattern": f"^[\\x21-\\x7e]{{1,{LONGEST_KEY}}}$"},
}
