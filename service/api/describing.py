"""Words that descriptions of calls are made of."""

from typing import Any

from service.api.problems import MEDIA_TYPE

TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
ID = {"type": "string", "format": "uuid"}
OBJECT = {"type": "object"}


def record(**fields: Any) -> dict[str, Any]:
    """An object that has all of these fields."""
    return {"type": "object", "required": list(fields), "properties": fields}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> dict[str, Any]:
    """The schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer(description: str, schema: str) -> dict[str, Any]:
    """An answer with a body of that schema."""
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}}


def call(
    summary: str, answers: dict[str, Any], *, refused: tuple[int, ...], body: str | None = None
) -> dict[str, Any]:
    """A call with a key: its answers, and the statuses it is refused with besides those of every call."""
    problems = {str(status): PROBLEM_ANSWER for status in sorted({401, 403, 429, 500, 503, *refused})}
    responses = {status: _with_rate(told) for status, told in (answers | problems).items()}
    told: dict[str, Any] = {"summary": summary, "responses": responses}
    if body:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(body)}}}
    return told


def _with_rate(answer: dict[str, Any]) -> dict[str, Any]:
    rate = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_HEADERS}
    return answer | {"headers": answer.get("headers", {}) | rate}


RATE_HEADERS = {
    name: {"description": description, "schema": {"type": "integer", "minimum": 0}}
    for name, description in (
        ("RateLimit-Limit", "Requests that the tenant may make in a second; missing if no key was found."),
        ("RateLimit-Remaining", "How many of them are left."),
        ("RateLimit-Reset", "In so many seconds the next second has begun."),
    )
}

_FAULT = record(pointer=TEXT, message=TEXT)
PROBLEM = record(
    type=TEXT,
    title=TEXT,
    status={"type": "integer"},
    detail=TEXT,
    code=TEXT,
    retryable={"type": "boolean"},
)
PROBLEM["properties"]["limit"] = TEXT | {"description": "The limit that was hit."}
PROBLEM["properties"]["errors"] = {"type": "array", "items": _FAULT}
PROBLEM_ANSWER = {"description": "What was wrong.", "content": {MEDIA_TYPE: {"schema": ref("Problem")}}}
