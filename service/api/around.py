"""Around all of the application, so that what its router refuses is seen too: ids of requests, and counting.

The id is the caller's, if it is sane. It is on the answer and on every line logged meanwhile. Requests are
counted by route, never by path, which callers choose.
"""

import re
import time
from functools import lru_cache

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from service.api import limits
from service.api.headers import header
from service.ids import uuid7
from service.telemetry import metrics

UNKNOWN = "unknown"
"""A route that is none, and a method that nobody knows."""

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_SANE = re.compile(r"[\x21-\x7e]{1,128}")

# To look a counter up by its labels takes longer than to count.
_requests = lru_cache(metrics.HTTP_REQUESTS.labels)
_seconds = lru_cache(metrics.HTTP_SECONDS.labels)


class Around:
    """One layer for both: each has its price at every message."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        given = header(scope, b"x-request-id")
        request_id = given if given and _SANE.fullmatch(given) else str(uuid7())
        scope["state"]["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] != "http.response.start":
                await send(message)
                return
            sent = (b"x-request-id", request_id.encode())
            message["headers"] = [*message["headers"], sent, *limits.told(scope)]
            await send(message)
            _count(scope, message["status"], time.perf_counter() - began)

        bound = bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            reset_contextvars(**bound)


def request_id(scope: Scope) -> str:
    """The id of the request under way."""
    return str(scope["state"]["request_id"])


def _count(scope: Scope, status: int, seconds: float) -> None:
    method = scope.get("method", "")
    method = method if method in _METHODS else UNKNOWN
    route = scope.get("path_template") or UNKNOWN
    _requests(route, method, status).inc()
    _seconds(route, method).observe(seconds)
