"""Words that descriptions of calls are made of.

What every call has is added by `finishing`: its id, its tag, the scope it needs, the headers of each answer.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from service.api.refusals import Refusals, problems

TEXT = {"type": "string"}
TIME = {"type": "string", "format": "date-time"}
ID = {"type": "string", "format": "uuid"}
URL = {"type": "string", "format": "uri"}
COUNT = {"type": "integer", "minimum": 0}
OBJECT = {"type": "object"}


def record(**fields: Any) -> dict[str, Any]:
    """An object that has all of these fields."""
    return {"type": "object", "required": list(fields), "properties": fields}


def list_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Any number of these."""
    return {"type": "array", "items": schema}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def ref(name: str) -> dict[str, Any]:
    """The schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer(
    description: str,
    schema: str,
    *,
    headers: Mapping[str, dict[str, Any]] | None = None,
    example: object = None,
) -> dict[str, Any]:
    """An answer with a body of that schema; `headers` are `header`s by name."""
    told: dict[str, Any] = {"description": description, "content": json(schema, example=example)}
    return told | ({"headers": dict(headers)} if headers else {})


def header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A header of an answer."""
    return {"description": description, "schema": schema}


def query(name: str, description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A parameter behind the question mark."""
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def in_path(name: str, description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A parameter in the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
        **more,
    }


def sent(name: str, description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A header of a request."""
    return {"name": name, "in": "header", "description": description, "schema": schema, **more}


def json(schema: str, *, example: object = None) -> dict[str, Any]:
    """A body of that schema. Without an example of its own it has that of the schema."""
    content: dict[str, Any] = {"schema": ref(schema)}
    return {"application/json": content | ({} if example is None else {"example": example})}


def call(
    summary: str,
    answers: dict[str, Any],
    *,
    refused: Refusals = (),
    body: str | None = None,
    description: str | None = None,
    parameters: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """A call with a key: its answers, and what it is refused with besides what refuses every call.

    `body` is the name of the body's schema.
    """
    always = {400, 401, 403, 429, 500, 503} | ({413, 415, 422} if body else set())
    told: dict[str, Any] = {"summary": summary, "responses": answers | problems({*always, *refused})}
    if description:
        told["description"] = description
    if parameters:
        told["parameters"] = list(parameters)
    if body:
        told["requestBody"] = {"required": True, "content": json(body)}
    return told


def open_call(summary: str, answers: dict[str, Any], *, refused: Refusals = ()) -> dict[str, Any]:
    """A call without a key."""
    return {"summary": summary, "security": [], "responses": answers | problems({500, *refused})}
