"""The parameters of a list of jobs, and the cursor by which it goes on."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from service.api.describing import query as parameter
from service.api.query import Query, shown
from service.clock import read_moment
from service.jobs.filter import Filter
from service.jobs.lifecycle import Status

LARGEST_PAGE = 200
USUAL_PAGE = 50
MOST_PAIRS = 16
"""Of metadata; a job has no more."""
PARAMETERS = ("status", "model", "external_id", "created_after", "created_before", "limit", "cursor")


class HasId(Protocol):
    """What lists are of."""

    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=HasId)


@dataclass(frozen=True, slots=True)
class Listing:
    """Which jobs to list, and which page of them."""

    wanted: Filter
    before: UUID | None
    limit: int


def listing(raw: bytes) -> Listing:
    """What the query asks for; raises BadRequestError with everything that is wrong with it."""
    query = Query(raw, known=PARAMETERS, pairs="metadata")
    wanted = Filter(
        statuses=frozenset(Status(word) for word in query.words("status", list(Status))),
        model=query.text("model"),
        external_id=query.text("external_id"),
        metadata=_metadata(query),
        since=_time(query, "created_after"),
        until=_time(query, "created_before"),
    )
    asked = Listing(wanted, before=before(query), limit=page_size(query))
    query.check()
    return asked


@dataclass(frozen=True, slots=True)
class PlainListing:
    """Which page of a list that cannot be narrowed or, at most, to one tenant."""

    before: UUID | None
    limit: int
    tenant_id: UUID | None = None


def page_of(raw: bytes) -> PlainListing:
    """What the query asks of a list that cannot be narrowed; raises as `listing` does."""
    query = Query(raw, known=("limit", "cursor"))
    asked = PlainListing(before=before(query), limit=page_size(query))
    query.check()
    return asked


def page_of_log(raw: bytes) -> PlainListing:
    """The same of a list that can be narrowed to one tenant."""
    query = Query(raw, known=("tenant_id", "limit", "cursor"))
    asked = PlainListing(before=before(query), limit=page_size(query), tenant_id=query.id("tenant_id"))
    query.check()
    return asked


def page(found: Sequence[Row], document: Callable[[Row], object], *, limit: int) -> dict[str, Any]:
    """What is answered of a list, of which one more than is shown was looked for."""
    shown = found[:limit]
    next_cursor = cursor(shown[-1].id) if len(found) > limit else None
    return {"data": [document(row) for row in shown], "next_cursor": next_cursor}


def cursor(last: UUID) -> str:
    """Where the page after the one that ends with `last` begins; opaque to callers."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def _metadata(query: Query) -> dict[str, str]:
    pairs = query.pairs()
    if len(pairs) > MOST_PAIRS:
        query.fault(f"metadata can be asked for by at most {MOST_PAIRS} keys, not {len(pairs)}.")
    return pairs


def _time(query: Query, name: str) -> datetime | None:
    text = query.single(name)
    if text is None:
        return None
    if (at := read_moment(text)) is not None:
        return at
    hint = " (a + is written %2B in a query)" if " " in text else ""
    query.fault(f"{name} must be a time like 2026-01-31T18:00:00Z, not {shown(text)}{hint}.")
    return None


def page_size(query: Query) -> int:
    """The `limit`."""
    text = query.single("limit")
    if text is None:
        return USUAL_PAGE
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= LARGEST_PAGE:
        return int(text)
    query.fault(f"limit must be an integer from 1 to {LARGEST_PAGE}, not {shown(text)}.")
    return USUAL_PAGE


def before(query: Query) -> UUID | None:
    """What the `cursor` stands for; None on the first page."""
    text = query.single("cursor")
    if text is None:
        return None
    try:
        last = UUID(bytes=base64.b64decode(text + "==", altchars=b"-_", validate=True))
        if cursor(last) == text:
            return last
    except (binascii.Error, ValueError):
        pass
    query.fault("cursor is not one that this service gave out.")
    return None


CURSOR_SCHEMA = {"type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"}
"""Sixteen bytes."""


LIMIT = parameter(
    "limit",
    "Most that are on a page.",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": USUAL_PAGE},
)
CURSOR = parameter("cursor", "The `next_cursor` of a page.", CURSOR_SCHEMA)
_MOMENT = {"type": "string", "format": "date-time"}

DESCRIBED = [
    parameter(
        "status",
        "Any of these; repeated, or with commas in between.",
        {"type": "array", "minItems": 1, "items": {"enum": list(Status)}},
        example=["completed", "failed"],
    ),
    parameter("model", "The id of the model.", {"type": "string"}),
    parameter("external_id", "The caller's own name for the job.", {"type": "string"}, example="order-17"),
    parameter(
        "metadata",
        "`metadata.KEY=VALUE`: jobs with this pair in their metadata; of several all must be there.",
        {
            "type": "object",
            "patternProperties": {r"^metadata\.[^\x00]+$": {"type": "string"}},
            "additionalProperties": False,
            "maxProperties": MOST_PAIRS,
        },
        style="form",
        explode=True,
        example={"metadata.team": "ads"},
    ),
    parameter(
        "created_after", "Jobs accepted at this time or later.", _MOMENT, example="2026-11-22T00:00:00Z"
    ),
    parameter("created_before", "Jobs accepted before this time.", _MOMENT, example="2026-11-23T00:00:00Z"),
    LIMIT,
    CURSOR,
]
"""The same for the API's own description."""
