"""One POST of a delivery: signed, to a judged address, under one deadline; and what came of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol, assert_never
from uuid import UUID

import httpx

from service import __version__
from service.http import (
    Answer,
    NotSentError,
    Origin,
    Phase,
    Transport,
    UnansweredError,
    fields,
    line,
    retry_after,
)
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
MOST_REMEMBERED = 1_000
"""URLs whose requests' beginnings are kept."""
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
    try:
        origin, head = _beginning(delivery.url)
        request = head + _headers(delivery, signer) + delivery.body
        answer = await transport.ask(origin, request, deadline=deadline, max_bytes=MOST_READ, beyond="cut")
    except (NotSentError, UnansweredError) as error:
        return failed(*_of_failure(error), begun=begun)
    return _of_answer(answer, at=delivery.at, begun=begun)


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


@lru_cache(MOST_REMEMBERED)
def _beginning(url: str) -> tuple[Origin, bytes]:
    """Where it leads, and how all requests to it begin: the same receivers are sent to again and again."""
    try:
        parsed = httpx.URL(url)
        return Origin.of(parsed), line(b"POST", parsed.raw_path) + fields(
            [
                (b"host", parsed.netloc),
                (b"accept-encoding", b"identity"),
                (b"content-type", b"application/json"),
                (b"user-agent", f"edit-jobs/{__version__}".encode()),
            ]
        )
    except ValueError as error:
        raise NotSentError(Phase.POOL, str(error)) from error


def _headers(delivery: Sendable, signer: Signer) -> bytes:
    """The others, and the end of the head."""
    event_id, timestamp = str(delivery.event_id), int(delivery.at.timestamp())
    signature = signer.sign(delivery.body, event_id=event_id, timestamp=timestamp)
    own = [
        (b"webhook-id", event_id.encode()),
        (b"webhook-timestamp", b"%d" % timestamp),
        (b"webhook-signature", signature.encode()),
        (b"webhook-attempt", b"%d" % delivery.attempt),
        (b"content-length", b"%d" % len(delivery.body)),
    ]
    return fields(own) + b"\r\n"


def _of_failure(error: NotSentError | UnansweredError) -> tuple[Outcome, str]:
    if error.phase is Phase.JUDGE:
        # The log is the tenant's to read: it does not tell what the name leads to.
        return Forbidden(), "the address must not be called"
    outcome: Outcome = TimedOut() if isinstance(error.__cause__, TimeoutError) else Unreachable()
    return outcome, str(error)


def _of_answer(answer: Answer, *, at: datetime, begun: float) -> Attempt:
    record = Record(
        status_code=answer.status,
        latency_ms=_since(begun),
        error=None if answer.is_success else _words(answer),
        response=answer.content[:MOST_KEPT],
    )
    return Attempt(Answered(answer.status, retry_after(answer.header(b"retry-after"), now=at)), record)


def _words(answer: Answer) -> str:
    text = f"HTTP {answer.status}"
    if target := answer.header(b"location"):
        # Where it leads to, without what may be a secret: user info and query.
        scheme, found, rest = target.partition("?")[0].partition("://")
        authority, slash, path = rest.partition("/")
        text += f" to {scheme}{found}{authority.rpartition('@')[2]}{slash}{path}"
    return text[:LONGEST_ERROR]


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
