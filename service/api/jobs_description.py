"""Our own calls about jobs in the API's own description: paths, and the schemas they name."""

from typing import Any
from uuid import UUID

from service import catalogue
from service.api import listing, samples
from service.api.describing import (
    COUNT,
    ID,
    OBJECT,
    TEXT,
    TIME,
    URL,
    answer,
    call,
    header,
    in_path,
    list_of,
    or_null,
    record,
    ref,
    sent,
)
from service.errors import (
    AcceptanceUnknownError,
    IdempotencyKeyReusedError,
    NotCancellableError,
    NotDeletableError,
    NotRetryableError,
    QueueFullError,
    TenantDisabledError,
)
from service.jobs.ends import LONGEST_MESSAGE
from service.jobs.idempotency import HEADER, LONGEST_KEY, REPLAYED_HEADER
from service.jobs.lifecycle import Status
from service.jobs.models import CANCEL_OUTCOMES, PRIORITIES, WAITS
from service.schema import Schema
from service.tenants.keys import MODES
from service.webhooks.models import DELIVERY_STATUSES

LOCATION = {"Location": header("The job's URL.", URL)}
REPLAYED = {REPLAYED_HEADER: header("The job was there already.", {"const": "true"})}
IDEMPOTENCY_KEY = sent(
    HEADER,
    "The same request again with the same key, for a day, makes no second job. A request that is refused uses"
    " up no key.",
    {"type": "string", "pattern": f"^[\\x21-\\x7e]{{1,{LONGEST_KEY}}}$", "maxLength": LONGEST_KEY},
    example="order-17-rainy",
)
_MAKES_WORK = (QueueFullError, TenantDisabledError)
_JOB_ID = in_path("job_id", "The id of the job.", ID, example=samples.JOB_ID)


def paths() -> dict[str, Any]:
    """All paths."""
    return {
        "/v1/jobs": {"post": _accept(), "get": _list()},
        "/v1/jobs/{job_id}": {"get": _show(), "delete": _delete(), "parameters": [_JOB_ID]},
        "/v1/jobs/{job_id}/cancel": {"post": _cancel(), "parameters": [_JOB_ID]},
        "/v1/jobs/{job_id}/retry": {"post": _retry(), "parameters": [_JOB_ID]},
        "/v1/jobs/{job_id}/events": {"get": _timeline(), "parameters": [_JOB_ID]},
    }


def schemas(request: Schema) -> dict[str, Any]:
    """What the paths refer to; `request` is the schema of a request for a job."""
    models = catalogue.all_models()
    properties = request.document["properties"]
    given = ref("Input") | {"description": properties["input"]["description"]}
    return {
        "Request": request.document
        | {"properties": properties | {"input": given}, "examples": [samples.REQUEST]},
        "Input": {"anyOf": [model.input.document for model in models], "examples": [samples.INPUT]},
        "Output": {"anyOf": [dict(model.output) for model in models], "examples": [samples.OUTPUT]},
        "Job": record(**job_fields()) | {"title": "Job", "examples": [samples.COMPLETED]},
        "Page": record(data=list_of(ref("Job")), next_cursor=or_null(listing.CURSOR_SCHEMA))
        | {"examples": [{"data": [samples.COMPLETED], "next_cursor": listing.cursor(UUID(samples.JOB_ID))}]},
        "Timeline": record(data=list_of(_ENTRY)) | {"examples": [samples.TIMELINE]},
    }


def job_fields() -> dict[str, Any]:
    """The fields of a job, in their order."""
    return {
        "id": ID | {"description": "A UUIDv7: ids sort by the time they were made."},
        "model": TEXT | {"description": "The id of the model."},
        "status": {"description": "Where it is.", "enum": list(Status)},
        "input": OBJECT
        | {"description": "As it is sent to the model: with defaults, without what is not used."},
        "output": or_null(ref("Output")) | {"description": "Once it is `completed`."},
        "error": or_null(_error()) | {"description": "Why it `failed` or `expired`."},
        "warnings": list_of(_WARNING) | {"description": "What was changed about its input."},
        "external_id": or_null(TEXT) | {"description": "The caller's own name for it."},
        "metadata": OBJECT
        | {"additionalProperties": TEXT, "description": "The caller's own pairs of texts."},
        "priority": {"enum": list(PRIORITIES)},
        "retry_of": or_null(ID) | {"description": "The job that was asked for once more by this one."},
        "queue_position": or_null(COUNT) | {"description": "How many go first, where that is known."},
        "waiting_for": or_null({"enum": ["tenant_limit", *WAITS]})
        | {"description": "Why it is still `accepted`."},
        "cancel": or_null(record(requested_at=TIME, outcome={"enum": list(CANCEL_OUTCOMES)}))
        | {"description": "That somebody asked for its end, and what came of it."},
        "upstream_request_id": or_null(TEXT) | {"description": "Its id at RunComfy."},
        "cost_usd": or_null({"type": "number", "minimum": 0})
        | {"description": "What RunComfy charged, where it says so; it may say so later."},
        "created_at": TIME,
        "submitted_at": or_null(TIME) | {"description": "When RunComfy took it."},
        "started_at": or_null(TIME),
        "finished_at": or_null(TIME),
        "expires_at": TIME | {"description": "It is `expired` if it has not ended by then."},
        "mode": {"description": "That of the key it was asked for with.", "enum": list(MODES)},
        "delivery": or_null(_DELIVERY)
        | {"description": "What became of the webhook that tells its end to `callback_url`."},
        "urls": record(self=URL, cancel=URL, events=URL),
    }


def _accept() -> dict[str, Any]:
    return call(
        "Accept a job",
        {
            "202": answer(
                "It is stored, and will be done.", "Job", headers=LOCATION, example=samples.ACCEPTED
            ),
            "200": answer(
                "The job that this Idempotency-Key made before, as it is now.",
                "Job",
                headers=LOCATION | REPLAYED,
                example=samples.COMPLETED,
            ),
        },
        refused=(*_MAKES_WORK, IdempotencyKeyReusedError, AcceptanceUnknownError),
        body="Request",
        parameters=[IDEMPOTENCY_KEY],
        description="The answer comes once the job is committed: from then on it cannot be lost.",
    )


def _list() -> dict[str, Any]:
    return call(
        "List jobs",
        {"200": answer("A page, newest first.", "Page")},
        parameters=listing.DESCRIBED,
        description="Pass `next_cursor` on as `cursor` until it is null. Jobs that are accepted meanwhile do"
        " not move the pages.",
    )


def _show() -> dict[str, Any]:
    return call("Show a job", {"200": answer("The job.", "Job")}, refused=[404])


def _delete() -> dict[str, Any]:
    return call(
        "Delete a job that has ended",
        {"204": {"description": "It is gone; also if it was before."}},
        refused=(404, NotDeletableError),
        description="Its input, its output and the bodies of its events are removed; a tombstone stays.",
    )


def _cancel() -> dict[str, Any]:
    return call(
        "Cancel a job",
        {
            "200": answer("It is cancelled.", "Job", example=samples.CANCELLED),
            "202": answer("RunComfy has not answered yet.", "Job", example=samples.CANCELLING),
        },
        refused=(404, NotCancellableError),
        description="A job that RunComfy has in its queue can be cancelled there: the answer is held up to"
        " 5 s for its word. What runs cannot be cancelled.",
    )


def _retry() -> dict[str, Any]:
    return call(
        "Ask for a job once more",
        {
            "202": answer("A new job with the same request.", "Job", headers=LOCATION, example=samples.RETRY),
            "200": answer("The retry that was made before.", "Job", headers=LOCATION, example=samples.RETRY),
        },
        refused=(404, NotRetryableError, *_MAKES_WORK),
        description="Once a job is `failed`, `cancelled` or `expired`. A job has one retry at most. Look at"
        " `error.may_be_charged` first: a retry is a submit of its own.",
    )


def _timeline() -> dict[str, Any]:
    return call(
        "Show what happened to a job",
        {"200": answer("The timeline, oldest first.", "Timeline")},
        refused=(404, 406),
    )


def _error() -> dict[str, Any]:
    upstream = record(
        http_status=or_null({"type": "integer", "minimum": 100, "maximum": 599}),
        error_code=or_null({"type": "integer"}),
    )
    return record(
        code=TEXT | {"description": "What to tell errors apart by."},
        message={"type": "string", "maxLength": LONGEST_MESSAGE},
        retryable={"type": "boolean", "description": "Never true where a charge is possible."},
        may_be_charged={"type": "boolean", "description": "Whether RunComfy took it, or may have."},
        upstream=or_null(upstream) | {"description": "What RunComfy said, where it did."},
    )


_WARNING = record(pointer=TEXT | {"description": "Where in the job (RFC 6901)."}, message=TEXT)
_DELIVERY = record(
    url=URL, status={"enum": list(DELIVERY_STATUSES)}, attempts=COUNT | {"description": "How many were made."}
)
_ENTRY = record(
    sequence={"type": "integer", "minimum": 1, "description": "Its number on this timeline."},
    type=TEXT | {"description": "What happened."},
    at=TIME,
    data=OBJECT | {"description": "More about it."},
)
