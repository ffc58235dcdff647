"""Every metric there is. No tenant's name or id is a label, and no label takes a value that callers choose.

What happens is counted in the process where it happens, so a total is a sum over all processes. What is
(jobs, accounts) is read from Postgres when it is asked for, so each process shows the same: take the maximum.
"""

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Set by a process that starts several on one port: they count there, and any of them tells the sum."""

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
CALL = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60)
LONG = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)

ACCEPTED = Counter("edit_jobs_accepted", "Jobs accepted.", ["model"])
MOVES = Counter(
    "edit_jobs_moves", "Moves of jobs from one state to another; ends are moves.", ["move", "model"]
)
SECONDS_TO_SUBMIT = Histogram(
    "edit_jobs_accept_to_submit_seconds",
    "From accepting a job to its first submit.",
    ["model"],
    buckets=LONG,
)
SECONDS_TO_END = Histogram(
    "edit_jobs_submit_to_end_seconds",
    "From when the upstream took a job to its end here.",
    ["model", "status"],
    buckets=LONG,
)

CLAIMS = Counter(
    "edit_jobs_claims", "Looks for jobs: waiting ones, or ones nobody looks after any more.", ["kind"]
)
CLAIMED = Counter("edit_jobs_claimed", "Jobs that were claimed.", ["kind"])

UPSTREAM_CALLS = Counter(
    "edit_jobs_upstream_calls",
    "Calls of the upstream; a poll is the call `status`.",
    ["call", "outcome"],
)
UPSTREAM_SECONDS = Histogram(
    "edit_jobs_upstream_call_seconds",
    "How long they took, with the wait for a connection.",
    ["call"],
    buckets=CALL,
)

ATTEMPTS = Counter(
    "edit_jobs_webhook_attempts",
    "Attempts to deliver a webhook by what follows: delivered, another one (pending), no more (exhausted),"
    " or held for an endpoint that is gone.",
    ["status"],
)
OUTCOMES = Counter(
    "edit_jobs_webhook_outcomes",
    "The same by what came of them: 2xx to 5xx, timed_out, unreachable, forbidden, or unsent.",
    ["outcome"],
)
BREAKERS_OPENED = Counter(
    "edit_jobs_webhook_breakers_opened", "Times that a receiver was left alone for a while."
)
ENDPOINTS_DISABLED = Counter(
    "edit_jobs_webhook_endpoints_disabled", "Endpoints that were disabled for how they answer.", ["reason"]
)
DELIVERIES_TOO_OLD = Counter(
    "edit_jobs_webhook_deliveries_too_old", "Deliveries that were given up because of their age."
)
ATTEMPT_SECONDS = Histogram("edit_jobs_webhook_attempt_seconds", "How long they took.", buckets=CALL)
SECONDS_TO_FIRST_ATTEMPT = Histogram(
    "edit_jobs_event_to_first_attempt_seconds",
    "From an event, most often a job's end, to the first attempt to tell it.",
    buckets=(*QUICK, 30, 60, 300),
)

BELLS = Counter("edit_jobs_bells", "Bells: rung, lost because Redis was away, or heard.", ["outcome"])

REFUSALS = Counter("edit_jobs_refusals", "Requests, or jobs of a batch, refused by a limit.", ["limit"])
UNCOUNTED = Counter(
    "edit_jobs_uncounted_requests", "Requests that no rate limit was held to, because Redis was away."
)

PRUNED = Counter("edit_jobs_pruned", "Old rows that were removed: jobs, keys, events, secrets.", ["kind"])
LAST_PRUNE = Gauge(
    "edit_jobs_last_prune_timestamp_seconds",
    "When this process last removed all that was old; 0 if it has not.",
    multiprocess_mode="max",
)

HTTP_REQUESTS = Counter(
    "edit_jobs_http_requests", "Requests answered by the API.", ["route", "method", "status"]
)
HTTP_SECONDS = Histogram(
    "edit_jobs_http_request_seconds",
    "Until the answer was sent, with what it was held for.",
    ["route", "method"],
    buckets=QUICK,
)


def claimed(kind: str, jobs: int) -> None:
    """Count a look for work and what it found."""
    CLAIMS.labels(kind).inc()
    CLAIMED.labels(kind).inc(jobs)


def asked_upstream(call: str, outcome: object, *, seconds: float) -> None:
    """Count a call of the upstream by what came of it."""
    UPSTREAM_CALLS.labels(call, _word(type(outcome).__name__)).inc()
    UPSTREAM_SECONDS.labels(call).observe(seconds)


def attempted(status: str, outcome: object, *, seconds: float, after_event: float | None) -> None:
    """Count an attempt of a webhook; `after_event` is given for the first one of a delivery."""
    ATTEMPTS.labels(status).inc()
    answer = getattr(outcome, "status", None)
    OUTCOMES.labels(f"{answer // 100}xx" if answer else _word(type(outcome).__name__)).inc()
    ATTEMPT_SECONDS.observe(seconds)
    if after_event is not None:
        SECONDS_TO_FIRST_ATTEMPT.observe(max(0.0, after_event))


def stored(
    *, jobs: Mapping[tuple[str, str], int], oldest_accepted: float, accounts_in_trouble: int
) -> list[Metric]:
    """What Postgres said just now: jobs that have not ended by status and model, seconds, accounts."""
    by_status = GaugeMetricFamily("edit_jobs_jobs", "Jobs that have not ended.", labels=["status", "model"])
    for labels, count in jobs.items():
        by_status.add_metric(labels, count)
    return [
        _gauge("edit_jobs_database_up", "Whether Postgres answered this scrape.", 1),
        by_status,
        _gauge("edit_jobs_oldest_accepted_seconds", "Age of the oldest job not sent yet.", oldest_accepted),
        _gauge(
            "edit_jobs_accounts_in_trouble",
            "Upstream accounts that are turned away (token, balance); their jobs wait.",
            accounts_in_trouble,
        ),
    ]


def of_deliveries(*, pending: int, held: int, lanes_open: int) -> list[Metric]:
    """What Postgres said just now of webhooks that have not ended."""
    by_status = GaugeMetricFamily(
        "edit_jobs_deliveries",
        "Deliveries of webhooks that wait for an attempt (pending) or for their endpoint (held).",
        labels=["status"],
    )
    by_status.add_metric(["pending"], pending)
    by_status.add_metric(["held"], held)
    return [
        by_status,
        _gauge("edit_jobs_lanes_open", "Receivers that are left alone for a while.", lanes_open),
    ]


def of_worker(*, leases_held: int, submit_window: int, hears_bells: bool) -> list[Metric]:
    """What a worker is at just now."""
    return [
        _gauge("edit_jobs_leases_held", "Jobs that this worker looks after.", leases_held),
        _gauge(
            "edit_jobs_submit_window",
            "Most submits on the wire that the upstream's answers allow this worker; 0 in a pause.",
            submit_window,
        ),
        _gauge(
            "edit_jobs_hears_bells", "Whether it hears bells; if not, work waits for its tick.", hears_bells
        ),
    ]


def unstored() -> list[Metric]:
    """Postgres did not answer in time."""
    return [_gauge("edit_jobs_database_up", "Whether Postgres answered this scrape.", 0)]


def exposition(more: Iterable[Metric] = ()) -> bytes:
    """All of it as Prometheus reads it."""
    counted: CollectorRegistry = REGISTRY
    if SHARED_FOLDER in os.environ:
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    read = CollectorRegistry(auto_describe=False)
    read.register(_Collected(more))
    return generate_latest(counted) + generate_latest(read)


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(name, description, value=value)


@cache
def _word(name: str) -> str:
    """`NotCancellable` as `not_cancellable`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
