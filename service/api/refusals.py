"""What calls are refused with, in the API's own description: by status, with an example of each code."""

from collections.abc import Iterable
from typing import Any

from service import errors
from service.api.problems import MEDIA_TYPE, problem
from service.errors import Fault, ServiceError

Refusals = Iterable[int | type[ServiceError]]
"""Errors, or statuses for what usually has them. A status without a usual error says nothing by itself."""

USUAL: dict[int, tuple[type[ServiceError], ...]] = {
    400: (errors.BadRequestError,),
    401: (
        errors.UnauthorizedError,
        errors.MalformedKeyError,
        errors.UnknownKeyError,
        errors.ExpiredKeyError,
        errors.RevokedKeyError,
    ),
    403: (errors.MissingScopeError,),
    404: (errors.NotFoundError,),
    406: (errors.NotAcceptableError,),
    413: (errors.TooLargeError,),
    415: (errors.UnsupportedMediaTypeError,),
    422: (errors.InvalidInputError,),
    429: (errors.RateLimitedError,),
    500: (ServiceError,),
    503: (errors.UnavailableError,),
}
_MORE: dict[type[ServiceError], dict[str, Any]] = {
    errors.InvalidInputError: {
        "faults": [
            Fault("/input/image_urls/0", "must begin with https://"),
            Fault("/input/num_images", "must be an integer, not a string"),
        ]
    },
    errors.RateLimitedError: {"limit": "requests_per_second"},
    errors.QueueFullError: {"limit": "max_queued"},
    errors.LimitReachedError: {"limit": "max_keys"},
}


def problems(refused: Refusals) -> dict[str, Any]:
    """The answers, by status."""
    kinds: dict[int, list[type[ServiceError]]] = {}
    for one in refused:
        status, more = (one, USUAL.get(one, ())) if isinstance(one, int) else (one.status, (one,))
        kinds.setdefault(status, []).extend(more)
    return {str(status): _answer(sorted(kinds[status], key=_place)) for status in sorted(kinds)}


def example(kind: type[ServiceError]) -> dict[str, Any]:
    """A problem document of this code."""
    return problem(kind(f"{kind.title()}.", **_MORE.get(kind, {})))


def _place(kind: type[ServiceError]) -> int:
    """Where it stands among all errors."""
    return list(vars(errors).values()).index(kind)


def _answer(kinds: list[type[ServiceError]]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if kinds:
        content["examples"] = {kind.code: {"summary": kind.title(), "value": example(kind)} for kind in kinds}
    told = " Or: ".join(f"{kind.title()}." for kind in kinds) or "What was wrong."
    return {"description": told, "content": {MEDIA_TYPE: content}}


_FAULT: dict[str, Any] = {
    "type": "object",
    "required": ["pointer", "message"],
    "properties": {
        "pointer": {
            "type": "string",
            "description": "Where in the body, as in RFC 6901; empty for all of it.",
            "pattern": "^(/[^/]*)*$",
        },
        "message": {"type": "string", "description": "What is wrong there."},
    },
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code", "retryable"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "The code, as a URI."},
        "title": {"type": "string", "description": "The same for every problem of this code."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong this time, for people."},
        "code": {
            "description": "What to tell problems apart by: it never changes.",
            "enum": sorted(
                {
                    kind.code
                    for kind in vars(errors).values()
                    if isinstance(kind, type) and issubclass(kind, ServiceError)
                }
            ),
        },
        "retryable": {
            "type": "boolean",
            "description": "Whether the same request may succeed later, with no charge possible by now.",
        },
        "limit": {"type": "string", "description": "The limit that was hit, where one was."},
        "errors": {"type": "array", "description": "All faults of a body.", "minItems": 1, "items": _FAULT},
    },
    "examples": [example(errors.NotFoundError)],
}
