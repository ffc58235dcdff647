"""Asking the upstream: five calls, each with a deadline of its own, each ending in an outcome.

A submit is told apart from all else: it costs money, cannot be repeated safely and cannot be looked up,
so it has connections of its own and what became of it is never guessed.
"""

import re
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from service import __version__
from service.http import NotSentError, Transport, UnansweredError, options, retry_after
from service.upstream import answers
from service.upstream.measured import measured
from service.upstream.outcomes import (
    Accepted,
    Cancelled,
    CancelOutcome,
    Denied,
    Failed,
    Finished,
    Garbled,
    InQueue,
    Missing,
    NotCancellable,
    Refused,
    ResultOutcome,
    Running,
    StatusOutcome,
    SubmitOutcome,
    Succeeded,
    Throttled,
    Uncertain,
    Unheard,
    Unreachable,
)

READ_SECONDS = 10.0
"""For a status, a result or a cancel; they take under a second when all is well."""
LARGEST_ANSWER = 1 << 20
SUBMIT_IDLE_SECONDS = 5.0
"""A POST that races the server's idle close fails just like a lost answer: no such connection is reused."""
READ_IDLE_SECONDS = 60.0

# UUIDs so far; anything that can stand in a path, and be stored, will do.
_LIKE_AN_ID = re.compile(r"[\x21-\x7e]{1,200}").fullmatch


class Upstream:
    """A client of one base URL, for any number of tokens."""

    def __init__(
        self,
        base_url: str,
        *,
        submits: httpx.AsyncBaseTransport,
        reads: httpx.AsyncBaseTransport,
        submit_deadline: float,
    ) -> None:
        """Transports, not clients: a client keeps cookies, follows redirects and takes a third more CPU."""
        self._base = base_url
        self._submits = submits
        self._reads = reads
        self._submit_deadline = submit_deadline

    @classmethod
    def connect(cls, base_url: str, *, submit_slots: int, read_slots: int, submit_deadline: float) -> Self:
        """With connections of our own: so many submits and so many reads at once."""
        return cls(
            base_url,
            submits=Transport(connections=submit_slots, keepalive_seconds=SUBMIT_IDLE_SECONDS),
            reads=Transport(connections=read_slots, keepalive_seconds=READ_IDLE_SECONDS),
            submit_deadline=submit_deadline,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._submits.aclose()
        await self._reads.aclose()

    @measured("submit")
    async def submit(
        self, model: str, inputs: dict[str, Any], *, token: str, not_after: float
    ) -> SubmitOutcome:
        """Ask for work, once. Nothing is sent after `not_after`, a time of `time.monotonic()`."""
        request = httpx.Request(
            "POST",
            f"{self._base}/v1/models/{model}",
            content=msgspec.json.encode(inputs),
            headers=_headers(token) | {"content-type": "application/json"},
            extensions=options(deadline=self._submit_deadline, not_after=not_after, max_bytes=LARGEST_ANSWER),
        )
        try:
            response = await _answered(self._submits, request)
        except NotSentError as error:
            return Unreachable(str(error))
        except UnansweredError as error:
            return Uncertain(str(error))
        return _of_submit(response)

    @measured("status")
    async def status(self, request_id: str, *, token: str) -> StatusOutcome:
        """Where the work is."""
        response = await self._read("GET", request_id, "status", token)
        return response if isinstance(response, Unreachable) else _of_status(response)

    @measured("result")
    async def result(self, request_id: str, *, token: str) -> ResultOutcome:
        """How the work ended, and what it cost, if that is known by now."""
        response = await self._read("GET", request_id, "result?include_cost=true", token)
        return response if isinstance(response, Unreachable) else _of_result(response)

    @measured("cancel")
    async def cancel(self, request_id: str, *, token: str) -> CancelOutcome:
        """Take the work out of the queue, if it is still there."""
        response = await self._read("POST", request_id, "cancel", token)
        return response if isinstance(response, Unreachable) else _of_cancel(response)

    async def _read(
        self, method: str, request_id: str, what: str, token: str
    ) -> httpx.Response | Unreachable:
        request = httpx.Request(
            method,
            f"{self._base}/v1/requests/{quote(request_id, safe='')}/{what}",
            headers=_headers(token),
            extensions=options(deadline=READ_SECONDS, max_bytes=LARGEST_ANSWER),
        )
        try:
            return await _answered(self._reads, request)
        except (NotSentError, UnansweredError) as error:
            return Unreachable(str(error))


async def _answered(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    response = await transport.handle_async_request(request)
    await response.aread()
    return response


def _headers(token: str) -> dict[str, str]:
    return {
        "authorization": f"Bearer {token}",
        "accept": "application/json",
        "user-agent": f"edit-jobs/{__version__}",
    }


def _of_submit(response: httpx.Response) -> SubmitOutcome:
    """Taken, not taken, or unknown. The upstream's own code counts more than the HTTP status."""
    document = answers.decoded(response.content)
    code, http = answers.error_code(document), response.status_code
    request_id = document.get("request_id")
    if response.is_success:
        if isinstance(request_id, str) and _LIKE_AN_ID(request_id):
            return Accepted(request_id)
        if code is None:
            return Uncertain(f"HTTP {http} without a request_id")
    elif http == 429 or (http == 503 and "retry-after" in response.headers):
        return _throttled(response)
    elif http == 408 or http >= 500 or http < 200:
        return Uncertain(f"HTTP {http}")
    words = answers.message(document) or f"HTTP {http}"
    if _is_of_the_account(http, code):
        return Denied(words, http, code)
    return Refused(words, http, code)


def _of_status(response: httpx.Response) -> StatusOutcome:
    document = answers.decoded(response.content)
    word = answers.word(document, "status")
    if response.is_success:
        if word in answers.WAITING:
            return InQueue(_position(document))
        if word in answers.RUNNING:
            return Running()
        if word in answers.SUCCEEDED | answers.FAILED | answers.CANCELLED:
            return Finished()
    return _unheard(response, document)


def _of_result(response: httpx.Response) -> ResultOutcome:
    document = answers.decoded(response.content)
    word = answers.word(document, "status")
    if response.is_success:
        if word in answers.WAITING:
            return InQueue(_position(document))
        if word in answers.RUNNING:
            return Running()
        if word in answers.CANCELLED:
            return Cancelled()
        output = answers.output(document.get("output"))
        if word in answers.SUCCEEDED and output:
            return Succeeded(output, answers.seconds(document), answers.cost(document))
        if word in answers.FAILED:
            words = answers.message(document) or "the upstream gives no reason"
            return Failed(words, answers.cost(document))
    return _unheard(response, document)


def _of_cancel(response: httpx.Response) -> CancelOutcome:
    # The documented example has `"status": "completed"` beside `"outcome": "cancelled"`: the outcome counts.
    document = answers.decoded(response.content)
    outcome = answers.word(document, "outcome")
    if response.is_success and outcome in answers.CANCELLED:
        return Cancelled()
    if response.is_success and outcome == "not_cancellable":
        return NotCancellable()
    return _unheard(response, document)


def _unheard(response: httpx.Response, document: dict[str, Any]) -> Unheard:
    code, http = answers.error_code(document), response.status_code
    if http == 429 or (http == 503 and "retry-after" in response.headers):
        return _throttled(response)
    if _is_of_the_account(http, code):
        return Denied(answers.message(document) or f"HTTP {http}", http, code)
    if code == answers.NOT_FOUND or http == 404:
        return Missing(code)
    return Garbled(f"HTTP {http}: {response.content[:200].decode(errors='replace')}")


def _throttled(response: httpx.Response) -> Throttled:
    return Throttled(retry_after(response.headers.get("retry-after"), now=datetime.now(UTC)))


def _is_of_the_account(http: int, code: int | None) -> bool:
    if code is not None:
        return code in (answers.NO_BALANCE, answers.BAD_TOKEN) or code // 1000 in (401, 402, 403)
    return http in (401, 402, 403)


def _position(document: dict[str, Any]) -> int | None:
    position = document.get("queue_position")
    # Beyond Postgres's integer it is not a position.
    return position if type(position) is int and 0 <= position < 1 << 31 else None
