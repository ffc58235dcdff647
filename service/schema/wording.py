"""The validator's findings in words a caller can act on: the limit, and what was got instead.

A value is repeated only where it is short. Of an `anyOf` the branch that was meant is judged,
or, if none can be told, all of them are named.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from jsonschema_rs import ValidationError

from service.schema.storable import INT64_MAX, INT64_MIN, Path

# Why a text is not of a format; None when it is.
Reason: TypeAlias = Callable[[str], str | None]

LONGEST_SHOWN = 40

_TYPES = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
_GOT = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}
NOT_BLANK = r"^[^\x00]*\S[^\x00]*$"
"""The pattern of a text with something in it."""

_PATTERNS = {NOT_BLANK: "must not be blank"}
_NOT_WHOLE = "must be an integer, not a number with a fraction or an exponent"


def worded(
    errors: Sequence[ValidationError], document: Mapping[str, Any], formats: Mapping[str, Reason]
) -> list[tuple[Path, str]]:
    """One line per fault and where it is."""
    chosen = {tuple(error.instance_path) for error in errors if error.kind.name in ("enum", "const")}
    found: list[tuple[Path, str]] = []
    for error in errors:
        path = tuple(error.instance_path)
        kind = error.kind.as_dict()
        match error.kind.name:
            case "type" if path in chosen:
                pass  # the list of what may be chosen says more
            case "required":
                found.append(((*path, kind["property"]), "is required"))
            case "additionalProperties":
                found += [((*path, name), "is not a known field") for name in kind["unexpected"]]
            case "propertyNames":
                name = kind["error"].instance
                found.append(((*path, name), f"the name {_message(kind['error'], formats)}"))
            case "anyOf" | "oneOf" if branch := _meant(path, kind["context"]):
                found += worded(branch, document, formats)
            case "anyOf" | "oneOf":
                found.append((path, _alternatives(error, document)))
            case _:
                found.append((path, _message(error, formats)))
    return found


def _message(error: ValidationError, formats: Mapping[str, Reason]) -> str:  # noqa: C901, PLR0911, PLR0912 - one line each
    value: Any = error.instance
    kind = error.kind.as_dict()
    match error.kind.name:
        case "type":
            if kind["types"] == ["integer"] and isinstance(value, float):
                return _NOT_WHOLE
            return f"must be {_joined([_TYPES[name] for name in kind['types']])}, not {_kind(value)}"
        case "written-whole":
            return _NOT_WHOLE
        case "enum":
            return f"must be one of {_listed(kind['options'])}, not {_shown(value)}"
        case "const":
            return f"must be {_quoted(kind['expected_value'])}, not {_shown(value)}"
        case "minimum":
            return f"must be at least {kind['limit']}, not {_shown(value)}"
        case "maximum":
            return f"must be at most {kind['limit']}, not {_shown(value)}"
        case "minLength":
            return f"must be at least {_count(kind['limit'], 'character')}, not {len(value):,}"
        case "maxLength":
            return f"must be at most {_count(kind['limit'], 'character')}, not {len(value):,}"
        case "minItems":
            return f"must have at least {_count(kind['limit'], 'item')}, not {len(value):,}"
        case "maxItems":
            return f"must have at most {_count(kind['limit'], 'item')}, not {len(value):,}"
        case "minProperties":
            return f"must have at least {_count(kind['limit'], 'field')}, not {len(value):,}"
        case "maxProperties":
            return f"must have at most {_count(kind['limit'], 'field')}, not {len(value):,}"
        case "uniqueItems":
            return "must not hold the same item twice"
        case "pattern":
            return _PATTERNS.get(kind["pattern"], f"must match {kind['pattern']}")
        case "format":
            reason = formats.get(kind["format"])
            return (reason and reason(value)) or f"must be a valid {kind['format']}"
        case keyword:
            return f"breaks the rule {keyword}"


def _meant(path: Path, branches: Sequence[Sequence[ValidationError]]) -> Sequence[ValidationError]:
    """The errors of the one branch whose type fits, unless they only say that it was the wrong choice."""
    fitting = [
        errors
        for errors in branches
        if not any(
            error.kind.name in ("type", "enum", "const") and tuple(error.instance_path) == path
            for error in errors
        )
    ]
    return fitting[0] if len(fitting) == 1 else []


def _alternatives(error: ValidationError, document: Any) -> str:
    branches = document
    for step in error.schema_path:
        branches = branches[step]
    return f"must be {', or '.join(_described(branch) for branch in branches)}, not {_shown(error.instance)}"


def _described(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {_listed(schema['enum'])}"
    if schema.get("required"):
        return f"an object with {_joined([_quoted(name) for name in schema['required']], 'and')}"
    return _TYPES[schema["type"]]


def _kind(value: object) -> str:
    return _GOT.get(type(value), "a number")


def _shown(value: object) -> str:
    match value:
        case None | bool() | float():
            return _quoted(value)
        case int() if INT64_MIN <= value <= INT64_MAX:
            return str(value)
        case str() if len(value) <= LONGEST_SHOWN:
            return _quoted(value)
        case str():
            return f"a text of {len(value):,} characters"
        case _:
            return _kind(value)


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(_quoted(value) for value in values)


def _joined(parts: Sequence[str], word: str = "or") -> str:
    return f" {word} ".join(parts)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
