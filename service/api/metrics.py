"""`GET /metrics`."""

from typing import Any

from litestar import Request, get

from service.api.answer import Answer
from service.api.parts import Parts
from service.jobs.gauges import gauges
from service.telemetry import metrics


@get("/metrics")
async def show_metrics(request: Request[Any, Any, Any]) -> Answer:
    """Show what Prometheus scrapes."""
    body = metrics.exposition(await gauges(Parts.of(request).database))
    return Answer.of_bytes(body, metrics.CONTENT_TYPE)
