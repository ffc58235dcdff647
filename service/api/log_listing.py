"""The parameters of the list of deliveries and of the feed, and the cursor of the feed."""

import base64
import binascii
from dataclasses import dataclass
from uuid import UUID

from service.api.describing import ID
from service.api.describing import query as parameter
from service.api.listing import CURSOR, LIMIT, before, page_size
from service.api.query import Query
from service.jobs.lifecycle import TOLD_EVENTS
from service.webhooks.log import Filter
from service.webhooks.models import DELIVERY_STATUSES
from service.webhooks.turn import DISABLED_EVENT

FEED_EVENTS = (*TOLD_EVENTS, DISABLED_EVENT)
_CURSOR = 8
FEED_CURSOR = {
    "type": "string",
    "pattern": "^[A-Za-f][A-Za-z0-9_-]{9}[AEIMQUYcgkosw048]$",
    "examples": ["AAAAAAAAAAA"],
}
"""Eight bytes, of which the first bit is none."""
_LAST_PLACE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LogListing:
    """Which deliveries to list, and which page of them."""

    wanted: Filter
    before: UUID | None
    limit: int


@dataclass(frozen=True, slots=True)
class FeedListing:
    """Where to read on in the feed, what, and how much."""

    after: int
    types: frozenset[str]
    limit: int


def log_listing(raw: bytes) -> LogListing:
    """What the query asks for; raises BadRequestError with everything that is wrong with it."""
    query = Query(raw, known=("job_id", "endpoint_id", "status", "limit", "cursor"))
    wanted = Filter(
        job_id=query.id("job_id"),
        endpoint_id=query.id("endpoint_id"),
        statuses=query.words("status", DELIVERY_STATUSES),
    )
    asked = LogListing(wanted, before=before(query), limit=page_size(query))
    query.check()
    return asked


def feed_listing(raw: bytes) -> FeedListing:
    """The same for the feed."""
    query = Query(raw, known=("after", "types", "limit"))
    asked = FeedListing(after=_after(query), types=query.words("types", FEED_EVENTS), limit=page_size(query))
    query.check()
    return asked


def feed_cursor(place: int) -> str:
    """Where to read on; opaque to callers."""
    return base64.urlsafe_b64encode(place.to_bytes(_CURSOR)).decode().rstrip("=")


def _after(query: Query) -> int:
    text = query.single("after")
    if text is None:
        return 0
    try:
        place = int.from_bytes(base64.b64decode(text + "=", altchars=b"-_", validate=True))
        if place <= _LAST_PLACE and feed_cursor(place) == text:
            return place
    except (binascii.Error, ValueError, OverflowError):
        pass
    query.fault("after is not a cursor that this service gave out.")
    return 0


DESCRIBED = [
    parameter("job_id", "Only those about this job.", ID),
    parameter("endpoint_id", "Only those to this endpoint.", ID),
    parameter(
        "status",
        "Any of these; repeated, or with commas in between.",
        {"type": "array", "items": {"enum": list(DELIVERY_STATUSES)}},
    ),
    LIMIT,
    CURSOR,
]
FEED_DESCRIBED = [
    parameter("after", "The `next_cursor` of the answer before; without it the feed begins.", FEED_CURSOR),
    parameter(
        "types",
        "Any of these; repeated, or with commas in between.",
        {"type": "array", "items": {"enum": list(FEED_EVENTS)}},
    ),
    LIMIT,
]
"""The same for the API's own description."""
