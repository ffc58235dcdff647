"""The API's own description as a page: one document without a script, which fetches nothing from anywhere."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from service.api.finishing import calls
from service.api.page_parts import Schemas, anchor, e, name_of, named, prose, row, table
from service.api.page_style import STYLE

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""The `Content-Security-Policy` that the page is happy with: nothing but its own style."""


def page(document: Mapping[str, Any]) -> str:
    """The page that shows this OpenAPI document, which `finishing` has finished."""
    return _Page(document).whole()


class _Page:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._schemas = Schemas(document["components"]["schemas"])
        self._headers = document["components"]["headers"]
        self._answers = document["components"]["responses"]
        self._sections: list[tuple[str, str, list[tuple[str, str, dict[str, Any]]]]] = [
            (tag["name"], tag["description"], self._of(tag["name"])) for tag in document["tags"]
        ]

    def whole(self) -> str:
        info = self._document["info"]
        title, version = e(info["title"]), e(info["version"])
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f"<title>{title} {version}</title><style>{STYLE}</style></head><body>"
            f"{self._navigation()}<main><header><h1>{title} <small>{version}</small></h1>"
            f"{prose(info['description'])}{self._servers()}</header>"
            f"{''.join(self._section(*section) for section in self._sections)}"
            f'<section id="schemas"><h2>Schemas</h2>{self._schemas.all()}</section>'
            "</main></body></html>\n"
        )

    def _of(self, tag: str) -> list[tuple[str, str, dict[str, Any]]]:
        """What it has: calls with their methods and paths, and webhooks with their types."""
        found = [(method, path, told) for path, method, told in calls(self._document) if tag in told["tags"]]
        events = self._document["webhooks"].items()
        return found + [
            ("event", name, event["post"]) for name, event in events if tag in event["post"]["tags"]
        ]

    def _servers(self) -> str:
        servers = ", ".join(f"<code>{e(server['url'])}</code>" for server in self._document["servers"])
        return (
            f'<p>Base URL: {servers}. For machines: <a href="/schema/openapi.json">OpenAPI'
            f" {e(self._document['openapi'])}</a>.</p>"
        )

    def _navigation(self) -> str:
        groups = []
        for name, _, found in self._sections:
            items = "".join(
                f'<li><a href="#{anchor(method, path)}">{_badge(method)}<span>{e(path)}</span></a></li>'
                for method, path, _ in found
            )
            groups.append(f'<p><a href="#{anchor("tag", name)}">{e(name)}</a></p><ul>{items}</ul>')
        return f'<nav aria-label="Calls">{"".join(groups)}<p><a href="#schemas">Schemas</a></p></nav>'

    def _section(self, name: str, about: str, found: list[tuple[str, str, dict[str, Any]]]) -> str:
        shown = "".join(self._call(*one) for one in found)
        return f'<section id="{anchor("tag", name)}"><h2>{e(name)}</h2>{prose(about)}{shown}</section>'

    def _call(self, method: str, path: str, told: dict[str, Any]) -> str:
        parts = [f"<h3>{_badge(method)} <code>{e(path)}</code></h3>", f"<p><b>{e(told['summary'])}.</b></p>"]
        parts.append(prose(told.get("description", "")))
        if method != "event":
            parts.append(self._asks(told))
        shared = self._document["paths"].get(path, {}).get("parameters", [])
        parts.append(self._parameters([*shared, *told.get("parameters", [])]))
        if body := told.get("requestBody"):
            parts.append(f"<h4>Body</h4>{self._content(body['content'])}")
        answers = {status: self._resolved(answer) for status, answer in told["responses"].items()}
        good = "".join(self._answer(status, one) for status, one in answers.items() if not _is_refusal(one))
        parts.append(f"<h4>Answers</h4>{good}")
        parts.append(table(self._refusal(status, one) for status, one in answers.items() if _is_refusal(one)))
        return f'<article id="{anchor(method, path)}">{"".join(parts)}</article>'

    def _asks(self, told: Mapping[str, Any]) -> str:
        needs = told.get("security", self._document["security"])
        if not needs:
            return '<p class="quiet">No key is needed.</p>'
        scopes = [scope for need in needs for names in need.values() for scope in names]
        with_scope = (
            f" with the scope {' '.join(f'<code>{e(scope)}</code>' for scope in scopes)}" if scopes else ""
        )
        return f'<p class="quiet">Needs a key{with_scope}.</p>'

    def _parameters(self, parameters: Iterable[Mapping[str, Any]]) -> str:
        shown = table(
            row(
                named(one["name"], is_there=one.get("required", False)),
                f"{self._schemas.kind(one['schema'])}<br><small>in the {_PLACES[one['in']]}</small>",
                prose(one.get("description", "")) + self._schemas.bounds(one["schema"]),
            )
            for one in parameters
        )
        return f"<h4>Parameters</h4>{shown}" if shown else ""

    def _resolved(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._answers[name_of(answer)] if "$ref" in answer else answer
        return found

    def _answer(self, status: str, answer: Mapping[str, Any]) -> str:
        headers = table(self._header(name, told) for name, told in answer.get("headers", {}).items())
        shown = self._content(answer.get("content", {})) + (f"<h5>Headers</h5>{headers}" if headers else "")
        head = f"{_status(status)} {prose(answer['description'], inline=True)}"
        return (
            f"<details><summary>{head}</summary>{shown}</details>"
            if shown
            else f'<p class="alone">{head}</p>'
        )

    def _refusal(self, status: str, answer: Mapping[str, Any]) -> str:
        """What is wrong, by the codes of the examples."""
        told = next(iter(answer["content"].values()))
        said = self._examples(told)
        codes = " ".join(f"<code>{e(one.get('code') or one['error_code'])}</code>" for one in said)
        return row(_status(status), codes, prose(answer["description"]))

    def _header(self, name: str, told: Mapping[str, Any]) -> str:
        told = self._headers[name_of(told)] if "$ref" in told else told
        return row(
            f"<code>{e(name)}</code>", self._schemas.kind(told["schema"]), prose(told.get("description", ""))
        )

    def _content(self, content: Mapping[str, Any]) -> str:
        parts = []
        for media_type, told in content.items():
            parts.append(
                f'<p class="quiet"><code>{e(media_type)}</code>, {self._schemas.kind(told["schema"])}</p>'
            )
            parts.append(self._schemas.fields(told["schema"]))
            parts += [_shown(value) for value in self._examples(told)]
        return "".join(parts)

    def _examples(self, told: Mapping[str, Any]) -> list[Any]:
        if "example" in told:
            return [told["example"]]
        if "examples" in told:
            return [example["value"] for example in told["examples"].values()]
        return list(self._schemas.named(told["schema"]).get("examples", ()))[:1]


_PLACES = {"path": "path", "query": "query", "header": "headers"}


def _is_refusal(answer: Mapping[str, Any]) -> bool:
    schemas = [told["schema"].get("$ref", "") for told in answer.get("content", {}).values()]
    return any(schema.endswith(("/Problem", "/RunComfyError")) for schema in schemas)


def _status(status: str) -> str:
    return f'<b class="status s{e(status[0])}">{e(status)}</b>'


def _badge(method: str) -> str:
    return f'<b class="m {e(method)}">{e(method.upper())}</b>'


def _shown(value: object) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f"<pre>{e(text)}</pre>"
