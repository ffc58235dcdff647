"""`GET /metrics`, and what is counted of requests: by route, never by path, which callers choose."""

import time
from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from service.api.parts import Parts
from service.jobs.gauges import gauges
from service.telemetry import metrics

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
UNKNOWN = "unknown"
"""A route that is none, and a method that nobody knows."""


@get("/metrics")
async def show_metrics(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Show what Prometheus scrapes."""
    body = metrics.exposition(await gauges(Parts.of(request).database))
    return ASGIResponse(body=body, headers={"content-type": metrics.CONTENT_TYPE})


class Counted:
    """Around all of the application: what its router refuses is counted too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()

        async def send_and_count(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                method = scope.get("method", "")
                method = method if method in _METHODS else UNKNOWN
                route = scope.get("path_template") or UNKNOWN
                metrics.HTTP_REQUESTS.labels(route, method, message["status"]).inc()
                metrics.HTTP_SECONDS.labels(route, method).observe(time.perf_counter() - began)

        await self._app(scope, receive, send_and_count)
