"""RunComfy's interface in the API's own description: paths, and the schemas they name."""

from typing import Any

from service import catalogue
from service.jobs.idempotency import HEADER, LONGEST_KEY
from service.jobs.mirror import WORDS

_TEXT = {"type": "string"}
_URL = {"type": "string", "format": "uri"}
_TIME = {"type": "string", "format": "date-time"}
_ID = {"type": "string", "format": "uuid"}
_WORDS = sorted(set(WORDS.values()))
_LEAST_CODE = 400001
_IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "description": "The same key with the same request is answered with the same job.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}


def paths(webhook: dict[str, Any]) -> dict[str, Any]:
    """All paths; `webhook` is the schema of the field that is `callback_url` on our own interface."""
    model_id = {
        "name": "model_id",
        "in": "path",
        "required": True,
        "description": "The id of a model of the catalogue, with its slashes as they are.",
        "schema": {"enum": [model.id for model in catalogue.all_models()]},
    }
    request_id = {
        "name": "request_id",
        "in": "path",
        "required": True,
        "description": "The id of the job.",
        "schema": _ID,
    }
    url = {
        "name": "webhook",
        "in": "query",
        "schema": {name: webhook[name] for name in ("description", "format", "maxLength", "examples")}
        | {"type": "string"},
    }
    include_cost = {
        "name": "include_cost",
        "in": "query",
        "description": "Whether to tell the cost, where it is known.",
        "schema": {"type": "boolean", "default": False},
    }
    taken = _call("Submit, as to RunComfy", 200, "RunComfyTaken", refused=(400, 403, 404, 413, 415, 422))
    taken["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref("Input")}}}
    taken["parameters"] = [url, _IDEMPOTENCY_KEY]
    result = _call("How it ended, as RunComfy tells", 200, "RunComfyResult", refused=(400, 403, 404))
    result["parameters"] = [include_cost]
    status = _call("Where it is, as RunComfy tells", 200, "RunComfyStatus", refused=(400, 403, 404))
    cancel = _call("Cancel, as at RunComfy", 202, "RunComfyCancel", refused=(400, 403, 404))
    shown = _call("Show a model", 200, "Model", refused=(400,))
    return {
        "/v1/models": {"get": _call("List models", 200, "Models", refused=(400,))},
        "/v1/models/{model_id}": {"get": shown, "post": taken, "parameters": [model_id]},
        "/v1/requests/{request_id}/status": {"get": status, "parameters": [request_id]},
        "/v1/requests/{request_id}/result": {"get": result, "parameters": [request_id]},
        "/v1/requests/{request_id}/cancel": {"post": cancel, "parameters": [request_id]},
    }


def schemas() -> dict[str, Any]:
    """What the paths refer to."""
    models = catalogue.all_models()
    output = {"anyOf": [dict(model.output) for model in models]}
    reads = {"status_url": _URL, "result_url": _URL}
    ended = {"enum": ["succeeded", "failed", *(word for word in _WORDS if word != "completed")]}
    result = _record(request_id=_ID, status=ended, created_at=_TIME)
    result["properties"] |= {"output": output, "finished_at": _TIME, "error": _TEXT}
    result["properties"]["cost"] = {"type": "number", "description": "In USD."}
    status = _record(request_id=_ID, status={"enum": _WORDS}, **reads)
    status["properties"]["queue_position"] = {"type": "integer", "minimum": 0}
    cancel = _record(request_id=_ID, status={"enum": [*_WORDS, "cancellation_requested"]})
    cancel["properties"]["outcome"] = {"enum": ["cancelled", "not_cancellable"]}
    model = _record(
        model_id=_TEXT,
        display_name=_TEXT,
        base_price_usd={"type": ["number", "null"]},
        price_unit={"type": ["string", "null"]},
        input_schema={"type": "object"},
        output_schema={"type": "object"},
    )
    return {
        "Input": {"anyOf": [model.input.document for model in models]},
        "Model": model,
        "Models": _record(data={"type": "array", "items": _ref("Model")}),
        "RunComfyTaken": _record(request_id=_ID, **reads, cancel_url=_URL),
        "RunComfyStatus": status,
        "RunComfyResult": result,
        "RunComfyCancel": cancel,
        "RunComfyError": _record(error_code={"type": "integer", "minimum": _LEAST_CODE}, error_message=_TEXT),
    }


def _call(summary: str, status: int, schema: str, *, refused: tuple[int, ...]) -> dict[str, Any]:
    wrong = _answer("What was wrong.", "RunComfyError")
    errors = {str(code): wrong for code in sorted({401, 500, 503, *refused})}
    return {"summary": summary, "responses": {str(status): _answer("As RunComfy answers.", schema)} | errors}


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _record(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(fields), "properties": fields}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
