"""One connection: a request at a time, its answer read by httptools under the limits that came with it."""

import asyncio
from typing import cast

import httptools

from service.http.answer import Answer
from service.http.failures import Phase, UnansweredError, passed, reason_of

LONGEST_HEAD = 64 * 1024
"""Bytes of status line and headers, of trailers too. Nobody honest needs more."""
_WITH_LENGTH = (b"content-length", b"transfer-encoding")


class Connection(asyncio.Protocol):
    """To one server. `is_usable` says whether another request may be sent on it."""

    __slots__ = (
        "_answer",
        "_bodyless",
        "_content",
        "_cut",
        "_head",
        "_headers",
        "_is_last",
        "_length",
        "_loop",
        "_max_bytes",
        "_parser",
        "_reads_to_the_end",
        "_reason",
        "_transport",
        "idle_since",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._is_last = False
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        """Open as far as anybody knows here, with nothing left of an earlier answer."""
        transport = self._transport
        return not self._is_last and transport is not None and not transport.is_closing()

    @property
    def is_writing(self) -> bool:
        """Whether a part of the request still waits for the server to read."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and transport.get_write_buffer_size() > 0

    async def exchange(
        self, request: bytes, *, until: float, deadline: float, bodyless: bool, max_bytes: int, cut: bool
    ) -> Answer:
        """Send it, now, and wait for the answer until this time of the loop, when its deadline is over.

        Raises UnansweredError; then, or if it is cancelled, the connection is dropped at once: a polite close
        would wait for a peer that does not read.
        """
        assert self._transport is not None, "it was made by the loop"
        self._bodyless, self._max_bytes, self._cut = bodyless, max_bytes, cut
        self._begin()
        self._head = 0
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answer = answer
        timer = self._loop.call_at(until, self._too_late, deadline)
        self._transport.write(request)
        try:
            return await answer
        except asyncio.CancelledError:
            self.drop()
            raise
        finally:
            timer.cancel()
            self._answer = None
            if self.is_writing:  # answered before it was read to the end
                self.drop()

    def drop(self) -> None:
        """Close it without a word."""
        self._is_last = True
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close it while it is idle."""
        self._is_last = True
        if self._transport is not None:
            self._transport.close()

    def fail(self, reason: str, cause: Exception | None = None) -> None:
        """End what is under way without an answer."""
        phase = Phase.WRITE if self.is_writing else Phase.READ
        self.drop()
        if self._answer is not None and not self._answer.done():
            error = UnansweredError(phase, reason)
            error.__cause__ = cause
            self._answer.set_exception(error)

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.drop()  # nobody asked for this
            return
        self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_last = True
        except httptools.HttpParserError as error:
            self.fail(f"the answer is not HTTP: {error}"[:300], error)
        else:
            if self._head > LONGEST_HEAD:
                self.fail("the head of the answer is too long")

    def eof_received(self) -> None:
        if self._answer is not None and self._reads_to_the_end:
            self._complete()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_last = True
        if self._answer is not None and self._reads_to_the_end and error is None:
            self._complete()
        else:
            self.fail(reason_of(error) if error else "the server closed the connection", error)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():
            self._is_last = True
        self._begin()

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        if name.lower() in _WITH_LENGTH:
            self._length = True

    def on_headers_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self._is_last = True
        status = self._parser.get_status_code()
        self._reads_to_the_end = not self._length and status >= 200 and status not in (204, 304)
        if self._bodyless and status >= 200:
            self._is_last = True
            self._complete()

    def on_body(self, data: bytes) -> None:
        self._content += data
        self._head -= len(data)
        if len(self._content) > self._max_bytes:
            if self._cut:
                del self._content[self._max_bytes :]
                self._is_last = True
                self._complete()
                self.drop()
            else:
                self.fail(f"the answer is longer than {self._max_bytes} bytes")

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._head = 0  # the answer proper is still to come
        else:
            self._complete()

    def _begin(self) -> None:
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._content = bytearray()
        self._length = self._reads_to_the_end = False

    def _complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            status = self._parser.get_status_code()
            self._answer.set_result(Answer(status, self._reason, self._headers, bytes(self._content)))

    def _too_late(self, deadline: float) -> None:
        self.fail(passed(deadline), TimeoutError())
