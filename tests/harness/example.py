"""A body that a schema of the API's own description takes: its examples, and the least it needs."""

from typing import Any

import jsonschema_rs


def body_of(document: dict[str, Any], call: dict[str, Any]) -> Any:
    """One for this call; None if it takes none. Fails where its description does not tell enough for one."""
    content = call.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    whole = {**content["schema"], "components": document["components"]}
    made = _made(document, content["schema"])
    faults = [error.message for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(made)]
    assert not faults, f"{call['summary']}: give an example in its schema; made {made}, but {faults}"
    return made


def _made(document: dict[str, Any], schema: dict[str, Any]) -> Any:  # noqa: C901, PLR0911  one line each
    if "$ref" in schema:
        return _made(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if schema.get("examples"):
        return schema["examples"][0]
    if "example" in schema:
        return schema["example"]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for branches in ("anyOf", "oneOf"):
        if branches in schema:
            return _made(document, schema[branches][0])
    kind = schema.get("type", "object")
    match kind if isinstance(kind, str) else kind[0]:
        case "object":
            fields = schema.get("properties", {})
            return {name: _made(document, fields[name]) for name in schema.get("required", [])}
        case "array":
            return [_made(document, schema["items"])] if schema.get("minItems") else []
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return True
        case _:
            return "x" * schema.get("minLength", 1)
