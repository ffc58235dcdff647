"""The `Retry-After` header (RFC 9110, 10.2.3), which asks for a wait as a number or as a date."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 3_600.0
"""Seconds. Nobody is waited for longer because of a header."""


def retry_after(header: str | None, *, now: datetime) -> float | None:
    """The seconds asked for, at most an hour; None if the header is missing or asks for nothing."""
    if header is None:
        return None
    text = header.strip()
    if text.isdecimal():
        return min(float(text), LONGEST)
    try:
        until = parsedate_to_datetime(text)
        # RFC 5322's "-0000" says nothing of the zone; HTTP's times are UTC.
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return min(max(0.0, (until - now).total_seconds()), LONGEST)
    except (ValueError, OverflowError):
        return None
