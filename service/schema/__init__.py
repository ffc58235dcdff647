"""One JSON Schema (2020-12) is both what checks a body and what documents it.

Stricter than the standard where a value must be passed on exactly as it was checked: `4.0` is not
an integer, and what Postgres cannot keep (see `storable`) is refused whatever the schema says.
Documents use no `$ref`, and every branch of an `anyOf` names its `type`. Beside a format that is checked here
a `pattern` only documents: what the format lets pass, or the usual part of that.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

from jsonschema_rs import Draft202012Validator

from service.errors import Fault, InvalidInputError
from service.schema.storable import Path, UnreadableError, is_storable, unstorable
from service.schema.wording import NOT_BLANK, Reason, worded

__all__ = ["NOT_BLANK", "Reason", "Schema"]

# A body of 256 KiB has room for more faults than anyone will read.
MOST_FAULTS = 100
LONGEST_NAME = 128

_WHOLE = "written-whole"


class Schema:
    """A document, and the validator made from it."""

    __slots__ = ("_defaults", "_formats", "_validator", "document")

    def __init__(self, document: dict[str, Any], *, formats: Mapping[str, Reason] | None = None) -> None:
        """`formats` give the reason why a text is not of the format, or None when it is."""
        self.document = document
        self._formats = dict(formats or {})
        self._defaults = [
            (name, _new(field["default"]) if "default" in field else None)
            for name, field in document.get("properties", {}).items()
        ]
        self._validator = Draft202012Validator(
            self._exact(document),
            formats={name: _verdict(reason) for name, reason in self._formats.items()},
            validate_formats=True,
            keywords={_WHOLE: _WrittenWhole},
        )

    def faults(self, value: object, *, at: str = "") -> list[Fault]:
        """Everything wrong with a decoded JSON value, in the order of the pointers, which start with `at`."""
        if is_storable(value) and self._validator.is_valid(value):
            return []
        try:
            found = unstorable(value)
        except UnreadableError as reason:
            return [Fault(_pointer(at, reason.path), reason.message)]
        more = 0
        if not self._validator.is_valid(value):
            unstored = {path for path, _ in found}  # of these the validator has nothing better to say
            errors = list(self._validator.iter_errors(value))
            more = max(0, len(errors) - MOST_FAULTS)
            # To word a fault takes longer than to find it: those that will not be told are only counted.
            told = worded(errors[:MOST_FAULTS], self.document, self._formats)
            found += [fault for fault in told if fault[0] not in unstored]
        found.sort(key=_place)
        faults = list(dict.fromkeys(Fault(_pointer(at, path), message) for path, message in found))
        more += max(0, len(faults) - MOST_FAULTS)
        return [*faults[:MOST_FAULTS], Fault(at, f"has {more:,} more faults")] if more else faults

    def read(self, value: object) -> dict[str, Any]:
        """The object with its defaults filled in, if it is valid; else raises InvalidInputError."""
        if (faults := self.faults(value)) or not isinstance(value, dict):
            raise InvalidInputError.of(faults)
        return self.filled(value)

    def filled(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """A valid object with the defaults of its fields filled in, in the schema's order."""
        filled: dict[str, Any] = {}
        for name, default in self._defaults:
            if name in value:
                filled[name] = value[name]
            elif default is not None:
                filled[name] = default()
        return filled | dict(value)

    def _exact(self, node: Any) -> Any:
        """The document as it is compiled: each integer must also be written as one."""
        if isinstance(node, list):
            return [self._exact(item) for item in node]
        if not isinstance(node, dict):
            return node
        exact = {name: self._exact(item) for name, item in node.items()}
        if node.get("additionalProperties") is False:
            exact.setdefault("properties", {})  # without it the validator does not name what is unknown
        if node.get("format") in self._formats:
            exact.pop("pattern", None)
        return exact | {_WHOLE: True} if node.get("type") in ("integer", ["integer", "null"]) else exact


def _new(default: Any) -> Callable[[], Any]:
    """Makes a copy of the default that nobody else has."""
    if not isinstance(default, list | dict):
        return lambda: default
    within = default.values() if isinstance(default, dict) else default
    is_flat = not any(isinstance(member, list | dict) for member in within)
    return default.copy if is_flat else partial(deepcopy, default)


class _WrittenWhole:
    """JSON Schema calls 4.0 an integer; passed on, it would still read 4.0."""

    def __init__(self, parent_schema: dict[str, Any], value: Any, schema_path: list[str | int]) -> None: ...

    def validate(self, instance: object) -> None:
        if isinstance(instance, float) and instance.is_integer():
            raise ValueError


def _verdict(reason: Reason) -> Callable[[str], bool]:
    return lambda text: reason(text) is None


def _place(found: tuple[Path, str]) -> tuple[tuple[str, ...], str]:
    path, message = found
    return tuple(f"{part:09}" if isinstance(part, int) else part for part in path), message


def _pointer(at: str, path: Path) -> str:
    """RFC 6901. A name too long to be anyone's field is cut, so that no answer echoes it."""
    return at + "".join(f"/{_token(part)}" for part in path)


def _token(part: str | int) -> str:
    name = str(part)
    if len(name) > LONGEST_NAME:
        name = name[:LONGEST_NAME] + "…"
    # A lone surrogate cannot be written into any answer.
    name = name.encode(errors="replace").decode()
    return name.replace("~", "~0").replace("/", "~1")
