"""`GET /metrics`."""

from typing import Any

from litestar import Request, get
from litestar.response.base import ASGIResponse

from service.api.parts import Parts
from service.jobs.gauges import gauges
from service.telemetry import metrics


@get("/metrics")
async def show_metrics(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Show what Prometheus scrapes."""
    body = metrics.exposition(await gauges(Parts.of(request).database))
    return ASGIResponse(body=body, headers={"content-type": metrics.CONTENT_TYPE})
