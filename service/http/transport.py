"""An HTTP/1.1 client of our own: a fraction of the CPU of the usual ones, and failures told exactly.

The whole exchange, body included, is over when a call returns, under one deadline. Head and body leave in one
step of the loop, the one in which it is decided that they may. Nothing is repeated, no redirect is followed,
no cookie is kept, nothing is read from the environment but `SSL_CERT_FILE` and `SSL_CERT_DIR`.
"""

import asyncio
import functools
import ssl
import time
from typing import Any, Literal

import httpx

from service.http.answer import Answer, Origin
from service.http.connection import Connection
from service.http.connector import Connector, Judge, Resolve, Way
from service.http.failures import NotSentError, Phase, UnansweredError, passed, reason_of
from service.http.inflating import CODINGS, inflated
from service.http.pool import Pool
from service.http.wire import head_of

DEADLINE_SECONDS = 30.0
MAX_BYTES = 8 * 1024 * 1024

# What the network or the peer can make fail before anything is sent; anything else is a bug of ours.
_FAILURES = (OSError, ValueError, RuntimeError)
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
    """In one event loop. `ask` is all of it; httpx's interface is there for whom it suits, at its price."""

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
        self.accepts = b"gzip, deflate" if decompress else b"identity"
        self._connector = Connector(
            ssl_context=ssl_context or _verified_tls(), judge=judge, resolve=resolve, at_once=connections
        )
        self._pool = Pool(
            self._connector,
            connections=connections,
            per_host=per_host,
            keepalive_seconds=keepalive_seconds,
        )

    async def ask(
        self,
        origin: Origin,
        request: bytes,
        *,
        deadline: float,
        not_after: float | None = None,
        max_bytes: int = MAX_BYTES,
        beyond: Literal["cut", "fail"] = "fail",
        bodyless: bool = False,
    ) -> Answer:
        """Send these bytes, a whole request, once. `bodyless`: it is a HEAD, whose answer has no body.

        Raises NotSentError or UnansweredError, and nothing else for what the other side can cause.
        """
        until = asyncio.get_running_loop().time() + deadline
        connection = self._pool.take(origin) or await self._connected(origin, until, deadline)
        try:
            if not connection.is_usable:
                raise NotSentError(Phase.POOL, "the connection was closed before the first byte")
            if not_after is not None and time.monotonic() > not_after:
                raise NotSentError(Phase.TOO_LATE, "it is too late to begin")
            answer = await connection.exchange(
                request,
                until=until,
                deadline=deadline,
                bodyless=bodyless,
                max_bytes=max_bytes,
                cut=beyond == "cut",
            )
        finally:
            self._pool.give_back(origin, connection)
        return self._final(answer, max_bytes)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same for httpx: use as `httpx.AsyncClient(transport=Transport(...))`."""
        try:
            origin = Origin.of(request.url)
            head = head_of(request, accepts=self.accepts)
        except ValueError as error:
            raise NotSentError(Phase.POOL, reason_of(error)) from error
        given = {"deadline": DEADLINE_SECONDS} | {
            name: request.extensions[name]
            for name in ("deadline", "not_after", "max_bytes", "beyond")
            if name in request.extensions
        }
        body = await request.aread()
        answer = await self.ask(origin, head + body, bodyless=request.method == "HEAD", **given)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=httpx.ByteStream(answer.content),
            extensions={"reason_phrase": answer.reason},
        )

    async def aclose(self) -> None:
        self._pool.close()
        self._connector.close()
        await asyncio.sleep(0)  # what was aborted is told in the next step of the loop

    async def _connected(self, origin: Origin, until: float, deadline: float) -> Connection:
        way = Way()
        try:
            async with asyncio.timeout_at(until):
                return await self._pool.get(origin, way)
        except NotSentError:
            raise
        except TimeoutError as error:
            raise NotSentError(way.phase, passed(deadline)) from error
        except _FAILURES as error:
            raise NotSentError(way.phase, reason_of(error)) from error

    def _final(self, answer: Answer, max_bytes: int) -> Answer:
        coded, headers = b"", []
        for pair in answer.headers:
            name = pair[0].lower()
            if name == b"content-encoding":
                coded = pair[1]
            if name not in _NOT_HANDED_ON:
                headers.append(pair)
        content = answer.content
        if self._decompress and coded.strip().lower() in CODINGS:
            try:
                content = inflated(content, max_bytes)
            except ValueError as error:
                raise UnansweredError(Phase.READ, str(error)) from error
        return Answer(answer.status, answer.reason, headers, content)


@functools.cache
def _verified_tls() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
