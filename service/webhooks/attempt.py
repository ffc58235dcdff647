"""One POST of a delivery: signed, to a judged address, under one deadline; and what came of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, assert_never
from uuid import UUID

import httpx

from service import __version__
from service.http import NotSentError, Phase, Transport, UnansweredError, options, retry_after
from service.telemetry import log, metrics, without_query
from service.webhooks.addresses import IPNetwork, judge
from service.webhooks.schedule import (
    Answered,
    Delivered,
    Exhausted,
    Forbidden,
    Held,
    Outcome,
    Retry,
    TimedOut,
    Unreachable,
)
from service.webhooks.signing import Signer
from service.webhooks.store.failures import Disabled, Opened
from service.webhooks.store.settle import Ended, Record

MOST_READ = 16 * 1024
MOST_KEPT = 1024
LONGEST_ERROR = 300
KEPT_ALIVE_SECONDS = 5.0
"""Short: a POST that races the receiver's idle close fails, and is then sent again."""


class Sendable(Protocol):
    """What an attempt is made of; `at` is when it is made."""

    @property
    def url(self) -> str: ...
    @property
    def event_id(self) -> UUID: ...
    @property
    def body(self) -> bytes: ...
    @property
    def attempt(self) -> int: ...
    @property
    def at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it: for the schedule, and for the log."""

    outcome: Outcome
    record: Record


def connect(*, connections: int, allowed: Sequence[IPNetwork]) -> Transport:
    """What calls strangers: judged addresses only, nothing inflated, no redirect followed."""
    return Transport(
        connections=connections,
        keepalive_seconds=KEPT_ALIVE_SECONDS,
        decompress=False,
        judge=judge(allowed),
    )


async def post(transport: Transport, delivery: Sendable, *, signer: Signer, deadline: float) -> Attempt:
    """Send it once; `deadline` is in seconds, for everything together."""
    begun = time.monotonic()
    request = httpx.Request(
        "POST",
        delivery.url,
        headers=_headers(delivery, signer),
        content=delivery.body,
        extensions=options(deadline=deadline, max_bytes=MOST_READ, beyond="cut"),
    )
    try:
        response = await transport.handle_async_request(request)
        await response.aread()
    except (NotSentError, UnansweredError) as error:
        return failed(*_of_failure(error), begun=begun)
    return _of_answer(response, at=delivery.at, begun=begun)


def failed(outcome: Outcome, error: str, *, begun: float) -> Attempt:
    """An attempt without an answer, `begun` at that time of `time.monotonic()`."""
    # Postgres takes neither NUL nor half a surrogate pair, and a peer may have had its say in these words.
    words = error.replace("\0", " ").encode(errors="replace").decode()[:LONGEST_ERROR]
    return Attempt(outcome, Record(status_code=None, latency_ms=_since(begun), error=words, response=b""))


def tell(ended: Ended, attempt: Attempt, *, settled: bool) -> None:
    """The one wide event of an attempt. `settled` is false if the delivery was somebody else's by then."""
    delivery, fields = ended.delivery, dict[str, object]()
    match ended.verdict:
        case Delivered():
            status = "delivered"
        case Retry(after):
            status, fields = "pending", {"retry_in_seconds": round(after, 1)}
        case Held():
            status, fields = "held", {"reason": "gone"}
        case Exhausted(reason):
            status, fields = "exhausted", {"reason": reason}
        case _:
            assert_never(ended.verdict)
    log.info(
        "delivery.attempted",
        event_type=delivery.type,
        job_id=delivery.job_id and str(delivery.job_id),
        tenant_id=str(delivery.tenant_id),
        event_id=str(delivery.event_id),
        delivery_id=str(delivery.id),
        endpoint_id=delivery.endpoint_id and str(delivery.endpoint_id),
        url=without_query(delivery.url),
        attempt=delivery.attempt,
        status=status,
        status_code=attempt.record.status_code,
        seconds=attempt.record.latency_ms / 1000,
        error=attempt.record.error,
        settled=settled,
        **fields,
    )
    waited = (delivery.at - delivery.happened_at).total_seconds()
    metrics.attempted(
        status,
        attempt.outcome,
        seconds=attempt.record.latency_ms / 1000,
        after_event=waited if delivery.attempt == 1 else None,
    )


def tell_of_receivers(opened: Sequence[Opened], disabled: Sequence[Disabled]) -> None:
    """Say which receivers are left alone for a while, and which until somebody enables them."""
    for lane in opened:
        log.warning(
            "lane.open",
            tenant_id=str(lane.tenant_id),
            lane=lane.origin,
            failures=lane.failures,
            openings=lane.openings,
            until=lane.open_until.isoformat(),
        )
    metrics.BREAKERS_OPENED.inc(len(opened))
    for endpoint in disabled:
        log.warning(
            "endpoint.disabled",
            tenant_id=str(endpoint.tenant_id),
            endpoint_id=str(endpoint.id),
            url=without_query(endpoint.url),
            reason=endpoint.reason,
            failing_since=endpoint.failing_since.isoformat(),
        )
        metrics.ENDPOINTS_DISABLED.labels(endpoint.reason).inc()


def _headers(delivery: Sendable, signer: Signer) -> dict[str, str]:
    event_id, timestamp = str(delivery.event_id), int(delivery.at.timestamp())
    return {
        "content-type": "application/json",
        "user-agent": f"edit-jobs/{__version__}",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signer.sign(delivery.body, event_id=event_id, timestamp=timestamp),
        "webhook-attempt": str(delivery.attempt),
    }


def _of_failure(error: NotSentError | UnansweredError) -> tuple[Outcome, str]:
    if error.phase is Phase.JUDGE:
        # The log is the tenant's to read: it does not tell what the name leads to.
        return Forbidden(), "the address must not be called"
    outcome: Outcome = TimedOut() if isinstance(error.__cause__, TimeoutError) else Unreachable()
    return outcome, str(error)


def _of_answer(response: httpx.Response, *, at: datetime, begun: float) -> Attempt:
    status = response.status_code
    record = Record(
        status_code=status,
        latency_ms=_since(begun),
        error=None if response.is_success else _words(response),
        response=response.content[:MOST_KEPT],
    )
    return Attempt(Answered(status, retry_after(response.headers.get("retry-after"), now=at)), record)


def _words(response: httpx.Response) -> str:
    text = f"HTTP {response.status_code}"
    if target := response.headers.get("location", ""):
        # Where it leads to, without what may be a secret: user info and query.
        scheme, found, rest = target.partition("?")[0].partition("://")
        authority, slash, path = rest.partition("/")
        text += f" to {scheme}{found}{authority.rpartition('@')[2]}{slash}{path}"
    return text[:LONGEST_ERROR]


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
