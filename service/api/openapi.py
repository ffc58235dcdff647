"""The API's own description (OpenAPI 3.1), made of the very schemas that bodies are held against."""

from typing import Any

import service
from service import catalogue
from service.api import listing, runcomfy_description
from service.api.problems import MEDIA_TYPE
from service.jobs.idempotency import HEADER, LONGEST_KEY, REPLAYED_HEADER
from service.jobs.lifecycle import Status
from service.jobs.models import CANCEL_OUTCOMES, PRIORITIES, WAITS
from service.schema import Schema
from service.tenants.keys import MODES
from service.webhooks.models import DELIVERY_STATUSES

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_ID = {"type": "string", "format": "uuid"}
_OBJECT = {"type": "object"}


def document(request: Schema, *, public_url: str) -> dict[str, Any]:
    """The description; `request` is the schema of a request for a job."""
    job = _answer("The job.", "Job")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edit-jobs",
            "version": service.__version__,
            "description": "Image edit jobs for backends: accepted over REST, told by signed webhooks.",
        },
        "servers": [{"url": public_url}],
        "security": [{"key": []}],
        "paths": {
            "/v1/jobs": {
                "post": _call(
                    "Accept a job",
                    {
                        "202": _at_location(job),
                        "200": _replayed("The job that this Idempotency-Key made before.", job),
                    },
                    refused=(400, 404, 413, 415, 422),
                    body="Request",
                )
                | {"parameters": [_IDEMPOTENCY_KEY]},
                "get": _call("List jobs", {"200": _answer("A page, newest first.", "Page")}, refused=(400,))
                | {"parameters": listing.DESCRIBED},
            },
            "/v1/jobs/{job_id}": {
                "get": _call("Show a job", {"200": job}, refused=(400, 404)),
                "delete": _call(
                    "Delete a job that has ended",
                    {"204": {"description": "It is gone; also if it was before."}},
                    refused=(400, 404, 409),
                ),
                "parameters": [_JOB_ID],
            },
            "/v1/jobs/{job_id}/cancel": {
                "post": _call("Cancel a job", {"200": job, "202": job}, refused=(400, 404, 409)),
                "parameters": [_JOB_ID],
            },
            "/v1/jobs/{job_id}/retry": {
                "post": _call(
                    "Ask for a job once more",
                    {
                        "202": _at_location(_answer("A new job with the same request.", "Job")),
                        "200": _at_location(_answer("The retry that was made before.", "Job")),
                    },
                    refused=(400, 404, 409),
                ),
                "parameters": [_JOB_ID],
            },
            "/v1/jobs/{job_id}/events": {
                "get": _call(
                    "Show what happened to a job",
                    {"200": _answer("The timeline, oldest first.", "Timeline")},
                    refused=(400, 404, 406),
                ),
                "parameters": [_JOB_ID],
            },
            **runcomfy_description.paths(request.document["properties"]["callback_url"]),
            "/health/live": {"get": _health("Whether the process lives")},
            "/health/ready": {"get": _health("Whether it can do its work", refused=(503,))},
            "/metrics": {"get": _METRICS},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Request": _request(request),
                "Job": _job(),
                "Page": _record(data={"type": "array", "items": _ref("Job")}, next_cursor=_or_null(_TEXT)),
                "Timeline": _record(data={"type": "array", "items": _ENTRY}),
                "Health": _OBJECT
                | {"required": ["status"], "properties": {"status": {"enum": ["ok", "degraded"]}}},
                "Problem": _PROBLEM,
                **runcomfy_description.schemas(),
            },
        },
    }


def _request(request: Schema) -> dict[str, Any]:
    inputs = [model.input.document for model in catalogue.all_models()]
    properties = request.document["properties"]
    return request.document | {"properties": properties | {"input": {"anyOf": inputs}}}


def _job() -> dict[str, Any]:
    cancel = _record(requested_at=_TIME, outcome={"enum": list(CANCEL_OUTCOMES)})
    upstream = _record(http_status=_or_null({"type": "integer"}), error_code=_or_null({"type": "integer"}))
    error = _record(
        code=_TEXT,
        message=_TEXT,
        retryable={"type": "boolean"},
        may_be_charged={"type": "boolean"},
        upstream=_or_null(upstream),
    )
    delivery = _record(url=_TEXT, status={"enum": list(DELIVERY_STATUSES)}, attempts={"type": "integer"})
    return _record(
        id=_ID,
        model=_TEXT,
        status={"enum": list(Status)},
        input=_OBJECT,
        output=_or_null({"anyOf": [dict(model.output) for model in catalogue.all_models()]}),
        error=_or_null(error),
        warnings={"type": "array", "items": _record(pointer=_TEXT, message=_TEXT)},
        external_id=_or_null(_TEXT),
        metadata=_OBJECT | {"additionalProperties": _TEXT},
        priority={"enum": list(PRIORITIES)},
        retry_of=_or_null(_ID),
        queue_position=_or_null({"type": "integer"}),
        waiting_for=_or_null({"enum": ["tenant_limit", *WAITS]}),
        cancel=_or_null(cancel),
        upstream_request_id=_or_null(_TEXT),
        cost_usd=_or_null({"type": "number"}),
        created_at=_TIME,
        submitted_at=_or_null(_TIME),
        started_at=_or_null(_TIME),
        finished_at=_or_null(_TIME),
        expires_at=_TIME,
        mode={"enum": list(MODES)},
        delivery=_or_null(delivery),
        urls=_record(self=_TEXT, cancel=_TEXT, events=_TEXT),
    )


def _call(
    summary: str, answers: dict[str, Any], *, refused: tuple[int, ...], body: str | None = None
) -> dict[str, Any]:
    problems = {str(status): _PROBLEM_ANSWER for status in sorted({401, 403, 500, 503, *refused})}
    call: dict[str, Any] = {"summary": summary, "responses": answers | problems}
    if body:
        call["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    return call


def _health(summary: str, *, refused: tuple[int, ...] = ()) -> dict[str, Any]:
    problems = {str(status): _PROBLEM_ANSWER for status in (500, *refused)}
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": _answer("It is so.", "Health")} | problems,
    }


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _at_location(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"headers": {"Location": {"description": "The job's URL.", "schema": _TEXT}}}


def _replayed(description: str, job: dict[str, Any]) -> dict[str, Any]:
    answer = _at_location(job | {"description": description})
    return answer | {"headers": answer["headers"] | {REPLAYED_HEADER: {"schema": {"const": "true"}}}}


def _record(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(fields), "properties": fields}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_ENTRY = _record(sequence={"type": "integer"}, type=_TEXT, at=_TIME, data=_OBJECT)
_FAULT = _record(pointer=_TEXT, message=_TEXT)
_PROBLEM = _record(
    type=_TEXT,
    title=_TEXT,
    status={"type": "integer"},
    detail=_TEXT,
    code=_TEXT,
    retryable={"type": "boolean"},
)
_PROBLEM["properties"]["errors"] = {"type": "array", "items": _FAULT}
_PROBLEM_ANSWER = {"description": "What was wrong.", "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}
_METRICS = {
    "summary": "Show what Prometheus scrapes",
    "security": [],
    "responses": {
        "200": {"description": "All metrics.", "content": {"text/plain": {"schema": _TEXT}}},
        "500": _PROBLEM_ANSWER,
    },
}

_JOB_ID = {"name": "job_id", "in": "path", "required": True, "schema": _ID}
_IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "description": "The same request again with the same key, for a day, makes no second job.",
    "schema": {"type": "string", "pattern": f"^[\\x21-\\x7e]{{1,{LONGEST_KEY}}}$"},
}
