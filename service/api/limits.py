"""What a tenant is held to at each request: how often it may ask, and how many of its jobs may wait here.

How the rate stands is told on every answer to a tenant's key (`RateLimit-Limit`, `-Remaining`, `-Reset`, as
in draft 7 of the IETF's "RateLimit header fields for HTTP"): the second it is counted in has begun already,
so it is over within one.
"""

from collections.abc import Sequence
from typing import Any

from litestar import Request
from litestar.types import Scope

from service.api.parts import Parts
from service.errors import RateLimitedError
from service.rates import LIMIT, Standing
from service.tenants.tenant import Key

RESET_SECONDS = 1


async def count(request: Request[Any, Any, Any], key: Key) -> None:
    """Count the request; raises RateLimitedError if its tenant has asked too often in this second."""
    most = key.limits.requests_per_second
    standing = await Parts.of(request).rates.take(key.tenant.id, limit=most)
    request.scope["state"]["rate"] = standing
    if not standing.is_allowed:
        raise RateLimitedError(
            f"This tenant may make {most:,} requests in a second.", limit=LIMIT, retry_after=RESET_SECONDS
        )


def told(scope: Scope) -> Sequence[tuple[bytes, bytes]]:
    """The headers that say how the rate stands; none where nothing was counted."""
    standing: Standing | None = scope["state"].get("rate")
    if standing is None:
        return ()
    return (
        (b"ratelimit-limit", b"%d" % standing.limit),
        (b"ratelimit-remaining", b"%d" % standing.remaining),
        (b"ratelimit-reset", b"%d" % RESET_SECONDS),
    )
