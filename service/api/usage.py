"""`GET /v1/usage`: what the tenant used between two days."""

import re
from datetime import UTC, date, datetime, timedelta

from litestar import get

from service.api.accepting import Asked
from service.api.answer import Answer
from service.api.auth import needs
from service.api.describing import query as parameter
from service.api.parts import Parts
from service.api.query import Query, shown
from service.jobs.store.usage import BYS, By
from service.jobs.usage import usage

USUAL_DAYS = 30
MOST_DAYS = 366
PARAMETERS = ("from", "to", "by")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@get("/v1/usage", before_request=needs("jobs:read"))
async def show_usage(request: Asked) -> Answer:
    """Show what was used."""
    parts = Parts.of(request)
    today = (parts.clock() or datetime.now(UTC)).date()
    since, until, by = period(request.scope["query_string"], today=today)
    used = await usage(parts.database, request.auth.tenant, since=since, until=until, by=by)
    return Answer(used)


HANDLERS = [show_usage]


def period(raw: bytes, *, today: date) -> tuple[date, date, By]:
    """From which day, to which (not one of them), and what by; raises BadRequestError with all faults."""
    query = Query(raw, known=PARAMETERS)
    until = _day(query, "to") or _within_calendar(today, 1)
    since = _day(query, "from") or _within_calendar(until, -USUAL_DAYS)
    by = query.single("by")
    if by not in (None, *BYS):
        query.fault(f"by must be {' or '.join(BYS)}, not {shown(by or '')}.")
    if not 0 < (until - since).days <= MOST_DAYS:
        query.fault(f"from must be 1 to {MOST_DAYS} days before to.")
    query.check()
    return since, until, "model" if by == "model" else "day"


def _day(query: Query, name: str) -> date | None:
    text = query.single(name)
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    query.fault(f"{name} must be a day like 2026-01-31, not {shown(text)}.")
    return None


def _within_calendar(day: date, days: int) -> date:
    """So many days later, as far as there are days."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return date.min if days < 0 else date.max


_A_DAY = {"type": "string", "format": "date"}
DESCRIBED = [
    parameter(
        "from",
        f"The first day, in UTC; {USUAL_DAYS} days before `to` if none is given.",
        _A_DAY,
        example="2026-01-01",
    ),
    parameter(
        "to",
        f"The day after the last, at most {MOST_DAYS} days after `from`; tomorrow if none is given.",
        _A_DAY,
        example="2026-02-01",
    ),
    parameter("by", "What is summed up.", {"type": "string", "enum": list(BYS), "default": "day"}),
]
"""The same for the API's own description."""
