"""RunComfy's interface in the API's own description: paths, and the schemas they name."""

from collections.abc import Iterable
from typing import Any

from service import catalogue
from service.api import samples
from service.api.describing import (
    COUNT,
    ID,
    OBJECT,
    TEXT,
    TIME,
    URL,
    answer,
    in_path,
    json,
    list_of,
    query,
    record,
    ref,
)
from service.api.jobs_description import IDEMPOTENCY_KEY, REPLAYED
from service.catalogue import DEFAULT_MODEL
from service.jobs.mirror import WORDS

_WORDS = sorted(set(WORDS.values()))
_LEAST_CODE = 400001
_EVERY = (400, 401, 403, 429, 500, 503)
_SAID = {
    400: (400001, "The request id is malformed: it has to be a UUID."),
    401: (400004, "This is not a key of this service: it is cut off or mistyped."),
    403: (403001, "This key lacks the scope jobs:write."),
    404: (404001, "There is no such job."),
    413: (413001, "A body may have at most 256 KiB."),
    415: (415001, "Send a body with the content type application/json."),
    422: (422001, "image_urls/0 must begin with https://."),
    429: (429001, "This tenant may make 1,000 requests in a second."),
    500: (500001, "Something went wrong here."),
    503: (503001, "The database cannot be reached."),
}
_REQUEST_ID = in_path("request_id", "The id of the job.", ID, example=samples.JOB_ID)


def paths(webhook: dict[str, Any]) -> dict[str, Any]:
    """All paths; `webhook` is the schema of the field that is `callback_url` on our own interface."""
    model_id = in_path(
        "model_id",
        "The id of a model of the catalogue, with its slashes as they are.",
        {"enum": [model.id for model in catalogue.all_models()]},
        example=DEFAULT_MODEL,
    )
    url = {name: webhook[name] for name in ("format", "pattern", "maxLength", "examples")}
    taken = _call("Submit, as to RunComfy", 200, "RunComfyTaken", refused=(404, 413, 415, 422))
    taken["responses"]["200"]["headers"] = REPLAYED
    taken["requestBody"] = {"required": True, "content": json("Input")}
    taken["parameters"] = [
        query("webhook", "Where signed webhooks about this job are sent.", url | {"type": "string"}),
        IDEMPOTENCY_KEY,
    ]
    result = _call("How it ended, as RunComfy tells", 200, "RunComfyResult", refused=[404])
    result["parameters"] = [
        query(
            "include_cost",
            "Whether to tell the cost, where it is known.",
            {"type": "boolean", "default": False},
        )
    ]
    status = _call("Where it is, as RunComfy tells", 200, "RunComfyStatus", refused=[404])
    cancel = _call("Cancel, as at RunComfy", 202, "RunComfyCancel", refused=[404])
    return {
        "/v1/models": {"get": _call("List models", 200, "Models")},
        "/v1/models/{model_id}": {
            "get": _call("Show a model", 200, "Model"),
            "post": taken,
            "parameters": [model_id],
        },
        "/v1/requests/{request_id}/status": {"get": status, "parameters": [_REQUEST_ID]},
        "/v1/requests/{request_id}/result": {"get": result, "parameters": [_REQUEST_ID]},
        "/v1/requests/{request_id}/cancel": {"post": cancel, "parameters": [_REQUEST_ID]},
    }


def schemas() -> dict[str, Any]:
    """What the paths refer to; the input and the output of a model are those of our own calls."""
    urls = {"status_url": URL, "result_url": URL}
    ended = {"enum": ["succeeded", "failed", *(word for word in _WORDS if word != "completed")]}
    result = record(request_id=ID, status=ended, created_at=TIME)
    result["properties"] |= {"output": ref("Output"), "finished_at": TIME, "error": TEXT}
    result["properties"]["cost"] = {"type": "number", "minimum": 0, "description": "In USD."}
    status = record(request_id=ID, status={"enum": _WORDS}, **urls)
    status["properties"]["queue_position"] = COUNT | {"description": "Only in the queue, where it is known."}
    cancel = record(request_id=ID, status={"enum": [*_WORDS, "cancellation_requested"]})
    cancel["properties"]["outcome"] = {"enum": ["cancelled", "not_cancellable"]}
    model = record(
        model_id=TEXT,
        display_name=TEXT,
        base_price_usd={"type": ["number", "null"]},
        price_unit={"type": ["string", "null"]},
        input_schema=OBJECT | {"description": "A JSON Schema (2020-12)."},
        output_schema=OBJECT | {"description": "A JSON Schema (2020-12)."},
    )
    code = {"type": "integer", "minimum": _LEAST_CODE, "description": "An HTTP status and three more digits."}
    return {
        "Model": model | {"examples": [_MODEL]},
        "Models": record(data=list_of(ref("Model"))) | {"examples": [{"data": [_MODEL]}]},
        "RunComfyTaken": record(request_id=ID, **urls, cancel_url=URL) | {"examples": [_TAKEN]},
        "RunComfyStatus": status | {"examples": [_STATUS]},
        "RunComfyResult": result | {"examples": [_RESULT]},
        "RunComfyCancel": cancel | {"examples": [_CANCEL]},
        "RunComfyError": record(error_code=code, error_message=TEXT) | {"examples": [_error(404)]},
    }


def _call(summary: str, status: int, schema: str, *, refused: Iterable[int] = ()) -> dict[str, Any]:
    errors = {
        str(code): answer("What was wrong.", "RunComfyError", example=_error(code))
        for code in sorted({*_EVERY, *refused})
    }
    return {"summary": summary, "responses": {str(status): answer("As RunComfy answers.", schema)} | errors}


def _error(status: int) -> dict[str, Any]:
    code, message = _SAID[status]
    return {"error_code": code, "error_message": message}


_URL = f"{samples.HOST}/v1/requests/{samples.JOB_ID}"
_URLS = {"status_url": f"{_URL}/status", "result_url": f"{_URL}/result"}
_MODEL = {
    "model_id": DEFAULT_MODEL,
    "display_name": "FLUX.2 [dev] Edit",
    "base_price_usd": None,
    "price_unit": None,
    "input_schema": {"type": "object"},
    "output_schema": {"type": "object"},
}
_TAKEN = {"request_id": samples.JOB_ID, **_URLS, "cancel_url": f"{_URL}/cancel"}
_STATUS = {"request_id": samples.JOB_ID, "status": "in_queue", "queue_position": 3, **_URLS}
_RESULT = {
    "request_id": samples.JOB_ID,
    "status": "succeeded",
    "output": {"image": samples.OUTPUT["images"][0], "images": samples.OUTPUT["images"]},
    "created_at": "2026-11-22T12:40:49.542035+00:00",
    "finished_at": "2026-11-22T12:40:56.118230+00:00",
}
_CANCEL = {"request_id": samples.JOB_ID, "status": "completed", "outcome": "cancelled"}
