"""What a description need not say, because the code or the path says it: added to every call.

The id of a call is its handler's name, the scope what its handler asks for, the tag follows from the path.
Texts and integers of requests have the bounds that hold for all of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from service.api.auth import scope_of
from service.api.sampling import sample
from service.schema.storable import INT64_MAX, INT64_MIN
from service.tenants.keys import ADMIN

TAGS = (
    ("Jobs", "Ask for edits, and see what becomes of them.", ("/v1/jobs",)),
    ("Webhooks", "Where events are told, what was sent, and with which signature.",
     ("/v1/webhook", "/v1/events", "/v1/signing-secret", "/.well-known/")),
    ("Tenant", "The tenant itself: its keys, its limits, what it has used.",
     ("/v1/tenant", "/v1/usage", "/v1/api-keys")),
    ("RunComfy", "The same jobs through RunComfy's own interface.", ("/v1/models", "/v1/requests")),
    ("Operators", "For those who run the platform.", ("/v1/admin",)),
    ("Service", "For those who run it, without a key.", ("/",)),
)  # fmt: skip
EVENTS = {"name": "Events", "description": "What is sent to a job's `callback_url` and to endpoints."}

HEADERS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "The id of the request: the caller's if it sent one, on every answer and in our log.",
        "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,128}$"},
        "example": "01a20344-6121-7b3e-9c55-0d2f6d1f1b8a",
    },
    "Retry-After": {
        "description": "In so many seconds it may be tried again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "WWW-Authenticate": {
        "description": "How to say who asks (RFC 6750), and what was wrong with that.",
        "schema": {"type": "string", "pattern": "^Bearer"},
        "example": 'Bearer error="invalid_token"',
    },
    "Allow": {
        "description": "The methods that the path takes.",
        "schema": {"type": "string"},
        "example": "GET, OPTIONS, POST",
    },
    "RateLimit-Limit": {
        "description": "Requests that the tenant may make in a second; missing if no key of it was found.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimit-Remaining": {
        "description": "How many of them are left.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit-Reset": {
        "description": "In so many seconds the next second has begun.",
        "schema": {"type": "integer", "minimum": 0},
    },
}
_RATE = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_ONLY_OF = {
    "401": ["WWW-Authenticate"],
    "403": ["WWW-Authenticate"],
    "429": ["Retry-After"],
    "503": ["Retry-After"],
}
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
NO_NUL = "^[^\\x00]*$"
"""The pattern of any text that can be kept."""


def finish(document: dict[str, Any], handlers: Iterable[HTTPRouteHandler]) -> dict[str, Any]:
    """The whole document, once everything in it is described; `handlers` are those of its calls."""
    served = {
        (_template(path), str(method).lower()): handler
        for handler in handlers
        for path in handler.paths
        for method in handler.http_methods
    }
    for path, method, told in calls(document):
        handler = served[path, method]
        told["operationId"] = handler.handler_name
        told["tags"] = [_tag(path)]
        if (scope := scope_of(handler.before_request)) is not None:
            told["security"] = [{"key": [scope] if scope else []}]
        # Only what tenants ask is counted.
        is_counted = scope not in (None, ADMIN)
        if not is_counted:
            told["responses"].pop("429", None)
        told["responses"] = {
            status: answer | {"headers": _headers(status, is_counted=is_counted) | answer.get("headers", {})}
            for status, answer in told["responses"].items()
        }
        _bound_parameters(told.get("parameters", ()))
    document["components"]["responses"] = _shared(document)
    for path in document["paths"].values():
        _bound_parameters(path.get("parameters", ()))
    schemas = document["components"]["schemas"]
    for name in _sent(document):
        schemas[name] = _bounded(schemas[name])
    for name, schema in schemas.items():
        if not schema.get("examples"):
            schemas[name] = schema | {"examples": [sample(schema, schemas)]}
    used = {tag for *_, told in calls(document) for tag in told["tags"]}
    tags = [{"name": name, "description": about} for name, about, _ in TAGS if name in used]
    return document | {"tags": [*tags, EVENTS]}


def calls(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and description of each call."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            if method in _METHODS:
                yield path, method, told


def _template(path: str) -> str:
    """`/v1/jobs/{job_id:str}` as it is written in OpenAPI."""
    parts = [part.partition(":")[0] + "}" if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


def _tag(path: str) -> str:
    return next(name for name, _, begins in TAGS if path.startswith(begins))


def _headers(status: str, *, is_counted: bool) -> dict[str, Any]:
    names = ["X-Request-Id", *_ONLY_OF.get(status, []), *(_RATE if is_counted and status != "401" else ())]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _shared(document: Mapping[str, Any]) -> dict[str, Any]:
    """Refusals that several calls have alike get a name, and are said once."""
    met: dict[bytes, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    for *_, told in calls(document):
        for status, answer in told["responses"].items():
            if status >= "400":
                met[msgspec.json.encode(answer)].append((told["responses"], status))
    shared: dict[str, Any] = {}
    for places in met.values():
        answers, status = places[0]
        (content,) = answers[status]["content"].values()
        name = f"{content['schema']['$ref'].rpartition('/')[2]}{status}"
        alike = sum(known.partition("-")[0] == name for known in shared)
        name += f"-{alike + 1}" if alike else ""
        shared[name] = answers[status]
        for answers, status in places:
            answers[status] = {"$ref": f"#/components/responses/{name}"}
    return shared


def _bound_parameters(parameters: Iterable[dict[str, Any]]) -> None:
    for parameter in parameters:
        parameter["schema"] = _bounded(parameter["schema"])


def _sent(document: Mapping[str, Any]) -> set[str]:
    """The schemas that bodies of requests are made of."""
    waiting = [told["requestBody"] for *_, told in calls(document) if "requestBody" in told]
    found: set[str] = set()
    while waiting:
        for name in _named(waiting.pop()) - found:
            found.add(name)
            waiting.append(document["components"]["schemas"][name])
    return found


def _named(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_named, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(_named, node.values()))


def _bounded(node: Any) -> Any:
    """No text may hold a NUL, and no integer more than 64 bits, wherever they are."""
    if isinstance(node, list):
        return [_bounded(item) for item in node]
    if not isinstance(node, dict):
        return node
    bounded = {
        name: value if name in ("default", "examples", "enum", "const") else _bounded(value)
        for name, value in node.items()
    }
    kinds = node.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "enum" in node or "const" in node or not isinstance(kinds, list):
        return bounded
    if "string" in kinds and "format" not in node:
        bounded.setdefault("pattern", NO_NUL)
    if "integer" in kinds:
        bounded.setdefault("minimum", INT64_MIN)
        bounded.setdefault("maximum", INT64_MAX)
    return bounded
