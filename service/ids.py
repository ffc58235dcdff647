"""UUIDv7 (RFC 9562, 5.7): ids that sort by the time they were made, in the order this process made them."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_USUAL = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_last = 0

CLOCKS_APART = timedelta(hours=1)
"""No two of our machines' clocks differ by more. An id carries the time of whoever made it, and most times in
Postgres are Postgres's own: so which ids belong to such a time is known only to within this."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_MILLISECONDS = 2**48 - 1


def uuid7() -> UUID:
    """Milliseconds, then twelve bits of the fraction (method 3 of 6.2), then 62 random bits."""
    global _last  # noqa: PLW0603  the order within a process needs one memory of the last
    ticks = time.time_ns() * 4096 // 1_000_000
    _last = ticks = max(ticks, _last + 1)
    random = int.from_bytes(os.urandom(8)) & (1 << 62) - 1
    return UUID(int=(ticks >> 12) << 80 | 7 << 76 | (ticks & 0xFFF) << 64 | 2 << 62 | random)


def read(text: str) -> UUID | None:
    """The UUID written like this; None for other forms than the usual, which `UUID` would read too."""
    return UUID(text) if _USUAL.fullmatch(text) else None


def first_of(at: datetime, *, margin: timedelta) -> UUID:
    """The least id of that time and the margin: its first 48 bits are milliseconds since 1970."""
    milliseconds = (at - _EPOCH + margin) // timedelta(milliseconds=1)
    return UUID(int=min(max(milliseconds, 0), _MOST_MILLISECONDS) << 80)
