"""One request on its way: where it is, and whether its first byte has been written.

aiohttp keeps the headers back until the body (if any) is written, so there are two places where a
first byte can leave: `write_bytes` with a body, in a task of its own, and `send` without one. Both ask
the attempt first, in the same step of the loop that hands the bytes to the socket.
"""

import asyncio
import os
import socket
import ssl
import time
from typing import cast

from aiohttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ServerDisconnectedError,
)
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection

from service.http.failures import NotSentError, Phase, UnansweredError


class Attempt:
    """The record of one request; as an aiohttp middleware it attaches itself to aiohttp's request."""

    __slots__ = ("_connection", "_ended", "_not_after", "_transport", "phase", "sent")

    def __init__(self, *, not_after: float | None) -> None:
        self.phase = Phase.POOL
        self.sent = False
        self._not_after = not_after
        self._connection: Connection | None = None
        self._transport: asyncio.Transport | None = None
        self._ended = False

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        cast("Request", request).attempt = self
        try:
            return await handler(request)
        except (OSError, ServerDisconnectedError) as error:
            # After these aiohttp would silently send a GET or PUT again. Nothing is sent twice here.
            raise self.failure(reason_of(error)) from error

    def first_byte(self, connection: Connection) -> None:
        """Allow the first byte to be written now, or raise NotSentError."""
        transport = connection.transport
        if self._ended or transport is None or transport.is_closing():
            raise NotSentError(self.phase, "the connection was closed before the first byte")
        if self._not_after is not None and time.monotonic() > self._not_after:
            raise NotSentError(Phase.TOO_LATE, "it is too late to begin")
        self._connection, self._transport = connection, transport
        self.phase = Phase.WRITE
        self.sent = True

    def failure(self, reason: str) -> NotSentError | UnansweredError:
        """The end without an answer. From here on no byte can leave any more."""
        self.abandon()
        return UnansweredError(self.phase, reason) if self.sent else NotSentError(self.phase, reason)

    def abandon(self) -> None:
        """Drop the connection at once: a polite close would wait for a peer that does not read.

        One that is neither ours nor closing is back in the pool, and may carry another's request by now.
        """
        self._ended = True
        if self._connection is None or self._transport is None:
            return
        if self._connection.transport is not None or self._transport.is_closing():
            self._transport.abort()


class Request(ClientRequest):
    """aiohttp's request, which asks its attempt before the first byte."""

    attempt: Attempt

    async def send(self, conn: Connection) -> ClientResponse:
        if self._body:
            return await super().send(conn)
        self.attempt.first_byte(conn)
        response = await super().send(conn)
        self.attempt.phase = Phase.READ
        return response

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        protocol = conn.protocol
        try:
            self.attempt.first_byte(conn)
        except NotSentError as refusal:
            if protocol is not None:
                protocol.set_exception(refusal)  # the task that waits for the answer learns it here
            return
        await super().write_bytes(writer, conn, content_length)
        if protocol is not None and protocol.exception() is None:
            self.attempt.phase = Phase.READ


def reason_of(error: Exception) -> str:
    """What happened, in a line for people."""
    if isinstance(error, ServerDisconnectedError):
        return "the server closed the connection"
    if isinstance(error, ClientResponseError):
        # Its text names the whole URL, and what is in a URL's query may be a secret.
        return f"the answer is not HTTP: {error.message.strip().partition(chr(10))[0]}"[:300]
    if isinstance(error, OSError) and (text := error.strerror):
        # What asyncio and aiohttp put there for an errno of the system names addresses and URLs.
        own = isinstance(error, ssl.SSLError | socket.gaierror)
        return text if own or not error.errno else os.strerror(error.errno)
    return f"{type(error).__name__}: {error}".rstrip(": ")[:300]
