"""Pieces of the page: texts, and schemas as tables of fields."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from service.api.finishing import NO_NUL

_DEEPEST = 4


def e(text: object) -> str:
    """As text of HTML, also inside of quotes."""
    return html.escape(str(text), quote=True)


def anchor(*words: str) -> str:
    """The id of a place on the page."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def prose(text: str, *, inline: bool = False) -> str:
    """Paragraphs, with what stands in backticks as code."""
    coded = re.sub(r"`([^`]+)`", r"<code>\1</code>", e(text))
    if inline:
        return coded
    return "".join(f"<p>{part}</p>" for part in coded.split("\n\n") if part.strip())


def name_of(reference: Mapping[str, Any]) -> str:
    """What it refers to, by its name."""
    return str(reference["$ref"]).rpartition("/")[2]


def table(rows: Iterable[str]) -> str:
    """All of them; nothing if there are none."""
    shown = "".join(rows)
    return f'<div class="wide"><table>{shown}</table></div>' if shown else ""


def row(*cells: str) -> str:
    """A row of a table."""
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def named(name: str, *, is_there: bool) -> str:
    """What a field or a parameter is called, and whether it can be missing."""
    return f"<code>{e(name)}</code>{'' if is_there else ' <small>optional</small>'}"


class Schemas:
    """The named schemas of a document."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas

    def all(self) -> str:
        """Each of them by its name."""
        return "".join(
            f'<article id="{anchor("schema", name)}"><h3>{e(name)}</h3>{prose(schema.get("description", ""))}'
            f'<p class="quiet">{self.kind(schema)}</p>{self.fields(schema)}</article>'
            for name, schema in self._schemas.items()
        )

    def named(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema itself, or the one it refers to."""
        found: Mapping[str, Any] = self._schemas[name_of(schema)] if "$ref" in schema else schema
        return found

    def kind(self, schema: Mapping[str, Any]) -> str:
        """What values are, in few words."""
        if "$ref" in schema:
            name = name_of(schema)
            return f'<a href="#{anchor("schema", name)}">{e(name)}</a>'
        if "const" in schema:
            return f"<code>{e(_json(schema['const']))}</code>"
        if "enum" in schema:
            return " | ".join(f"<code>{e(_json(value))}</code>" for value in schema["enum"])
        if branches := schema.get("anyOf") or schema.get("oneOf"):
            return " | ".join(dict.fromkeys(self.kind(branch) for branch in branches))
        kinds = schema.get("type", "anything")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds == ["array"]:
            return f"array of {self.kind(schema.get('items', {}))}"
        return " | ".join(map(e, kinds))

    def bounds(self, schema: Mapping[str, Any]) -> str:
        """What else holds of them."""
        told = [*_told(schema), *(f"of each: {bound}" for bound in _told(schema.get("items", {})))]
        return f'<p class="quiet">{"; ".join(told)}</p>' if told else ""

    def fields(self, schema: Mapping[str, Any]) -> str:
        """A table of its fields; nothing for what has none."""
        return table(
            row(
                named(name, is_there=is_there),
                self.kind(field),
                prose(field.get("description", "")) + self.bounds(field),
            )
            for name, field, is_there in self._fields(self.named(schema), "", 0)
        )

    def _fields(
        self, schema: Mapping[str, Any], prefix: str, depth: int
    ) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
        required = schema.get("required", ())
        for name, field in schema.get("properties", {}).items():
            yield prefix + name, field, name in required
            if depth < _DEEPEST:
                yield from self._fields(field, f"{prefix}{name}.", depth + 1)
        for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            # What has a name is shown where that leads; at the top there is no place to lead to.
            if "$ref" not in branch:
                yield from self._fields(branch, prefix, depth)
        items = schema.get("items", {})
        if items and "$ref" not in items:
            yield from self._fields(items, f"{prefix.removesuffix('.')}[].", depth)


def _told(schema: Mapping[str, Any]) -> list[str]:
    bounds = {name: schema[name] for name in _BOUNDS if name in schema and schema[name] != NO_NUL}
    return [f"{_BOUNDS[name]} <code>{e(_plain(bound))}</code>" for name, bound in bounds.items()]


def _plain(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


_BOUNDS = {
    "default": "default",
    "format": "format",
    "pattern": "pattern",
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "least characters",
    "maxLength": "most characters",
    "minItems": "least items",
    "maxItems": "most items",
    "maxProperties": "most fields",
}
