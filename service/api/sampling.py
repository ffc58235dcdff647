"""An example of a schema, for bodies that have none of their own; always the same one."""

from collections.abc import Mapping
from typing import Any

from service.api.samples import HOST, JOB_ID

_BY_FORMAT = {
    "uuid": JOB_ID,
    "date-time": "2026-11-22T12:40:49.542035Z",
    "date": "2026-11-22",
    "uri": HOST,
}
_DEEPEST = 12


def sample(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, depth: int = 0) -> Any:
    """A value of the schema; `schemas` are the named ones. A text with a pattern must have an example."""
    if depth > _DEEPEST:
        return None
    if "$ref" in schema:
        return sample(schemas[str(schema["$ref"]).rpartition("/")[2]], schemas, depth=depth + 1)
    for given in ("example", "const", "default"):
        if given in schema:
            return schema[given]
    for several in ("examples", "enum"):
        if schema.get(several):
            return schema[several][0]
    for branches in ("anyOf", "oneOf"):
        if branches in schema:
            return sample(schema[branches][0], schemas, depth=depth + 1)
    return _of_kind(schema, schemas, depth=depth)


def _of_kind(schema: Mapping[str, Any], schemas: Mapping[str, Any], *, depth: int) -> Any:
    kind = schema.get("type", "object")
    match kind if isinstance(kind, str) else kind[0]:
        case "string":
            return _BY_FORMAT.get(schema.get("format", ""), "text"[: schema.get("maxLength", 4)])
        case "integer" | "number":
            return max(0, schema.get("minimum", 0))
        case "boolean":
            return False
        case "null":
            return None
        case "array":
            return [sample(schema.get("items", {}), schemas, depth=depth + 1)]
        case _:
            fields = schema.get("properties", {})
            return {name: sample(fields[name], schemas, depth=depth + 1) for name in fields}
