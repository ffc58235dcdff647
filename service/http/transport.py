"""httpx's interface over aiohttp: a fraction of the CPU of httpx's own, and failures told exactly.

The whole exchange, body included, is over when `handle_async_request` returns, under one deadline.
Nothing is repeated, no redirect is followed, no cookie is kept, nothing is read from the environment
but `SSL_CERT_FILE` and `SSL_CERT_DIR`.
"""

import asyncio
import functools
import ssl
from collections.abc import Mapping
from typing import Any, Literal

import httpx
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, StreamReader
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from service.http.attempt import Attempt, Request, reason_of
from service.http.connector import Connector, Judge, Resolve
from service.http.failures import Phase

DEADLINE_SECONDS = 30.0
MAX_BYTES = 8 * 1024 * 1024

# What the network, the peer or a bad URL or header can make aiohttp raise; anything else is a bug of ours.
_FAILURES = (ClientError, HttpProcessingError, OSError, ValueError, RuntimeError)
_NO_TIMEOUT = ClientTimeout()
_AUTOMATIC = ("accept", "accept-encoding", "content-type", "user-agent")
_NOT_PASSED_ON = frozenset({b"accept-encoding", b"transfer-encoding"})
# The body handed on is the final one, and whoever holds the client must not start to keep cookies.
_NOT_HANDED_ON = frozenset({b"content-encoding", b"set-cookie"})


def options(
    *,
    deadline: float,
    not_after: float | None = None,
    max_bytes: int = MAX_BYTES,
    beyond: Literal["cut", "fail"] = "fail",
) -> dict[str, Any]:
    """The `extensions` of a request.

    `deadline`: seconds for everything together, waiting for a connection included. `not_after`: the
    `time.monotonic()` after which the first byte is not written any more. `max_bytes`: how much of the
    answer's body is read; what goes `beyond` is cut off, or fails as unanswered.
    """
    return {"deadline": deadline, "not_after": not_after, "max_bytes": max_bytes, "beyond": beyond}


class Transport(httpx.AsyncBaseTransport):
    """Use as `httpx.AsyncClient(transport=Transport(...))`, in one event loop."""

    def __init__(
        self,
        *,
        connections: int = 100,
        per_host: int = 0,
        keepalive_seconds: float = 15.0,
        decompress: bool = True,
        judge: Judge | None = None,
        resolve: Resolve | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`keepalive_seconds`: a connection idle for longer is not used again. `per_host` 0: no limit.

        With `decompress=False` answers are asked for and handed on as they are, and never inflated.
        """
        self._decompress = decompress
        self._accept_encoding = ("accept-encoding", "gzip, deflate" if decompress else "identity")
        self._connect = functools.partial(
            Connector,
            connections=connections,
            per_host=per_host,
            keepalive_seconds=keepalive_seconds,
            ssl_context=ssl_context or _verified_tls(),
            judge=judge,
            resolve=resolve,
        )
        self._connector: Connector | None = None
        self._session: ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises NotSentError or UnansweredError, and nothing else for what the other side can cause."""
        deadline = request.extensions.get("deadline", DEADLINE_SECONDS)
        attempt = Attempt(not_after=request.extensions.get("not_after"))
        timer = asyncio.timeout(deadline)
        try:
            async with timer:
                return await self._exchange(request, attempt)
        except _FAILURES as error:
            reason = f"the deadline of {deadline:g} s passed" if timer.expired() else reason_of(error)
            raise attempt.failure(reason) from error
        except asyncio.CancelledError:
            attempt.abandon()
            if self._closed_under(asyncio.current_task()):
                raise attempt.failure("the transport was closed") from None
            raise

    async def aclose(self) -> None:
        if self._connector is not None:
            await self._connector.aclose()

    async def _exchange(self, request: httpx.Request, attempt: Attempt) -> httpx.Response:
        body = await request.aread()
        headers = [
            (name.decode("ascii"), value.decode("utf-8"))
            for name, value in request.headers.raw
            if name.lower() not in _NOT_PASSED_ON
        ]
        headers.append(self._accept_encoding)
        response = await self._opened().request(
            request.method,
            _verbatim(request.url),
            headers=headers,
            data=body or None,
            allow_redirects=False,
            middlewares=(attempt,),
        )
        try:
            content = await _read(response.content, request.extensions, attempt)
        finally:
            response.release()
        if attempt.phase is Phase.WRITE:  # answered before it was read to the end
            attempt.abandon()
        return httpx.Response(
            response.status,
            headers=[pair for pair in response.raw_headers if pair[0].lower() not in _NOT_HANDED_ON],
            stream=httpx.ByteStream(content),
            extensions={"reason_phrase": (response.reason or "").encode("ascii", "replace")},
        )

    def _opened(self) -> ClientSession:
        if self._session is None:
            self._connector = self._connect()
            self._session = ClientSession(
                connector=self._connector,
                cookie_jar=DummyCookieJar(),
                request_class=Request,
                skip_auto_headers=_AUTOMATIC,
                auto_decompress=self._decompress,
                timeout=_NO_TIMEOUT,
            )
        return self._session

    def _closed_under(self, task: asyncio.Task[Any] | None) -> bool:
        """Closing cancels what waits for a connection; the waiting task itself was not cancelled."""
        return self._connector is not None and self._connector.closed and not (task and task.cancelling())


async def _read(stream: StreamReader, extensions: Mapping[str, Any], attempt: Attempt) -> bytes:
    """The body, or its beginning, if the rest is to be cut off."""
    max_bytes = extensions.get("max_bytes", MAX_BYTES)
    content = bytearray()
    while chunk := await stream.readany():
        content += chunk
        if len(content) > max_bytes:
            if extensions.get("beyond") != "cut":
                raise attempt.failure(f"the answer is longer than {max_bytes} bytes")
            attempt.abandon()
            return bytes(content[:max_bytes])
    return bytes(content)


def _verbatim(url: httpx.URL) -> URL:
    """The URL for aiohttp with path and query as one text, which it then sends as it is, `?` and all."""
    return URL.build(
        scheme=url.scheme,
        authority=url.netloc.decode("ascii"),
        path=url.raw_path.decode("ascii"),
        encoded=True,
    )


@functools.cache
def _verified_tls() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
