"""UUIDv7 (RFC 9562, 5.7): ids that sort by the time they were made, in the order this process made them."""

import os
import re
import time
from uuid import UUID

_USUAL = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_last = 0


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
