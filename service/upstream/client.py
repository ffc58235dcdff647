"""Asking the upstream: four calls, each with a deadline of its own, each ending in an outcome.

A submit is told apart from all else: it costs money, cannot be repeated safely and cannot be looked up,
so it has connections of its own and what became of it is never guessed.
"""

import re
from datetime import UTC, datetime
from typing import Any, Protocol, Self
from urllib.parse import quote

import msgspec

from service.http import (
    Answer,
    NotSentError,
    Origin,
    Transport,
    UnansweredError,
    retry_after,
)
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
from service.upstream.words import Words

READ_SECONDS = 10.0
"""For a status, a result or a cancel; they take under a second when all is well."""
LARGEST_ANSWER = 1 << 20
SUBMIT_IDLE_SECONDS = 5.0
"""A POST that races the server's idle close fails just like a lost answer: no such connection is reused."""
READ_IDLE_SECONDS = 60.0
IN_A_PATH = "/~:@!$&'()*+,;="

# UUIDs so far; anything that can stand in a path, and be stored, will do.
_LIKE_AN_ID = re.compile(r"[\x21-\x7e]{1,200}").fullmatch


class Asks(Protocol):
    """What the calls leave by: a transport, or what stands in for one."""

    async def ask(
        self, origin: Origin, request: bytes, *, deadline: float, not_after: float | None, max_bytes: int
    ) -> Answer:
        """Send a whole request once. Raises NotSentError or UnansweredError."""

    async def aclose(self) -> None:
        """Close all connections."""


class Upstream:
    """A client of one base URL, for any number of tokens."""

    def __init__(self, base_url: str, *, submits: Asks, reads: Asks, submit_deadline: float) -> None:
        self._words = Words(base_url)
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
        body = msgspec.json.encode(inputs)
        try:
            answer = await self._submits.ask(
                self._words.origin,
                self._words.post(f"/v1/models/{quote(model, safe=IN_A_PATH)}", body, token=token),
                deadline=self._submit_deadline,
                not_after=not_after,
                max_bytes=LARGEST_ANSWER,
            )
        except (NotSentError, ValueError) as error:
            return Unreachable(str(error))
        except UnansweredError as error:
            return Uncertain(str(error))
        return _of_submit(answer)

    @measured("status")
    async def status(self, request_id: str, *, token: str) -> StatusOutcome:
        """Where the work is."""
        answer = await self._read("GET", request_id, "status", token)
        return answer if isinstance(answer, Unreachable) else _of_status(answer)

    @measured("result")
    async def result(self, request_id: str, *, token: str) -> ResultOutcome:
        """How the work ended, and what it cost, if that is known by now."""
        answer = await self._read("GET", request_id, "result?include_cost=true", token)
        return answer if isinstance(answer, Unreachable) else _of_result(answer)

    @measured("cancel")
    async def cancel(self, request_id: str, *, token: str) -> CancelOutcome:
        """Take the work out of the queue, if it is still there."""
        answer = await self._read("POST", request_id, "cancel", token)
        return answer if isinstance(answer, Unreachable) else _of_cancel(answer)

    async def _read(self, method: str, request_id: str, what: str, token: str) -> Answer | Unreachable:
        try:
            path = f"/v1/requests/{quote(request_id, safe='')}/{what}"
            words = self._words
            request = words.get(path, token=token) if method == "GET" else words.post(path, token=token)
            return await self._reads.ask(
                words.origin, request, deadline=READ_SECONDS, not_after=None, max_bytes=LARGEST_ANSWER
            )
        except (NotSentError, UnansweredError, ValueError) as error:
            return Unreachable(str(error))


def _of_submit(answer: Answer) -> SubmitOutcome:
    """Taken, not taken, or unknown. The upstream's own code counts more than the HTTP status."""
    document = answers.decoded(answer.content)
    code, http = answers.error_code(document), answer.status
    request_id = document.get("request_id")
    if answer.is_success:
        if isinstance(request_id, str) and _LIKE_AN_ID(request_id):
            return Accepted(request_id)
        if code is None:
            return Uncertain(f"HTTP {http} without a request_id")
    elif http == 429 or (http == 503 and answer.header(b"retry-after") is not None):
        return _throttled(answer)
    elif http == 408 or http >= 500 or http < 200:
        return Uncertain(f"HTTP {http}")
    words = answers.message(document) or f"HTTP {http}"
    if _is_of_the_account(http, code):
        return Denied(words, http, code)
    return Refused(words, http, code)


def _of_status(answer: Answer) -> StatusOutcome:
    document = answers.decoded(answer.content)
    word = answers.word(document, "status")
    if answer.is_success:
        if word in answers.WAITING:
            return InQueue(_position(document))
        if word in answers.RUNNING:
            return Running()
        if word in answers.SUCCEEDED | answers.FAILED | answers.CANCELLED:
            return Finished()
    return _unheard(answer, document)


def _of_result(answer: Answer) -> ResultOutcome:
    document = answers.decoded(answer.content)
    word = answers.word(document, "status")
    if answer.is_success:
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
    return _unheard(answer, document)


def _of_cancel(answer: Answer) -> CancelOutcome:
    # The documented example has `"status": "completed"` beside `"outcome": "cancelled"`: the outcome counts.
    document = answers.decoded(answer.content)
    outcome = answers.word(document, "outcome")
    if answer.is_success and outcome in answers.CANCELLED:
        return Cancelled()
    if answer.is_success and outcome == "not_cancellable":
        return NotCancellable()
    return _unheard(answer, document)


def _unheard(answer: Answer, document: dict[str, Any]) -> Unheard:
    code, http = answers.error_code(document), answer.status
    if http == 429 or (http == 503 and answer.header(b"retry-after") is not None):
        return _throttled(answer)
    if _is_of_the_account(http, code):
        return Denied(answers.message(document) or f"HTTP {http}", http, code)
    if code == answers.NOT_FOUND or http == 404:
        return Missing(code)
    return Garbled(f"HTTP {http}: {answer.content[:200].decode(errors='replace')}")


def _throttled(answer: Answer) -> Throttled:
    return Throttled(retry_after(answer.header(b"retry-after"), now=datetime.now(UTC)))


def _is_of_the_account(http: int, code: int | None) -> bool:
    if code is not None:
        return code in (answers.NO_BALANCE, answers.BAD_TOKEN) or code // 1000 in (401, 402, 403)
    return http in (401, 402, 403)


def _position(document: dict[str, Any]) -> int | None:
    position = document.get("queue_position")
    # Beyond Postgres's integer it is not a position.
    return position if type(position) is int and 0 <= position < 1 << 31 else None
