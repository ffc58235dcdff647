"""The parameters of a list of jobs, and the cursor by which it goes on."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from service.api import describing
from service.api.query import Query, shown
from service.jobs.filter import Filter
from service.jobs.lifecycle import Status

LARGEST_PAGE = 200
USUAL_PAGE = 50
MOST_PAIRS = 16
"""Of metadata; a job has no more."""
PARAMETERS = ("status", "model", "external_id", "created_after", "created_before", "limit", "cursor")

# RFC 3339, 5.6. Python's own reader also takes other forms of ISO 8601.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


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
        statuses=_statuses(query),
        model=query.text("model"),
        external_id=query.text("external_id"),
        metadata=_metadata(query),
        since=_time(query, "created_after"),
        until=_time(query, "created_before"),
    )
    asked = Listing(wanted, before=_before(query), limit=_limit(query))
    query.check()
    return asked


def cursor(last: UUID) -> str:
    """Where the page after the job `last` begins; opaque to callers."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def _statuses(query: Query) -> frozenset[Status]:
    words = query.several("status")
    unknown = [word for word in words if word not in list(Status)]
    if unknown:
        names = ", ".join(shown(word) for word in unknown[:10])
        query.fault(f"status must be one of {', '.join(Status)}, not {names}.")
    return frozenset(Status(word) for word in words if word not in unknown)


def _metadata(query: Query) -> dict[str, str]:
    pairs = query.pairs()
    if len(pairs) > MOST_PAIRS:
        query.fault(f"metadata can be asked for by at most {MOST_PAIRS} keys, not {len(pairs)}.")
    return pairs


def _time(query: Query, name: str) -> datetime | None:
    text = query.single(name)
    if text is None:
        return None
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    hint = " (a + is written %2B in a query)" if " " in text else ""
    query.fault(f"{name} must be a time like 2026-01-31T18:00:00Z, not {shown(text)}{hint}.")
    return None


def _limit(query: Query) -> int:
    text = query.single("limit")
    if text is None:
        return USUAL_PAGE
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= LARGEST_PAGE:
        return int(text)
    query.fault(f"limit must be an integer from 1 to {LARGEST_PAGE}, not {shown(text)}.")
    return USUAL_PAGE


def _before(query: Query) -> UUID | None:
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


CURSOR = {"type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"}
"""Sixteen bytes."""
_MOMENT = {"type": "string", "format": "date-time"}

DESCRIBED = [
    describing.query(
        "status",
        "Any of these; repeated, or with commas in between.",
        {"type": "array", "minItems": 1, "items": {"enum": list(Status)}},
        example=["completed", "failed"],
    ),
    describing.query("model", "The id of the model.", {"type": "string"}),
    describing.query(
        "external_id", "The caller's own name for the job.", {"type": "string"}, example="order-17"
    ),
    describing.query(
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
    describing.query(
        "created_after", "Jobs accepted at this time or later.", _MOMENT, example="2026-11-22T00:00:00Z"
    ),
    describing.query(
        "created_before", "Jobs accepted before this time.", _MOMENT, example="2026-11-23T00:00:00Z"
    ),
    describing.query(
        "limit",
        "Most jobs on a page.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": USUAL_PAGE},
    ),
    describing.query("cursor", "The `next_cursor` of a page.", CURSOR),
]
"""The same for the API's own description."""
