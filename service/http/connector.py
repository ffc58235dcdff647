"""New connections: resolve once, judge every address, connect to exactly those, then TLS.

aiohttp's own connector does not ask its resolver about literals and shares resolutions between schemes,
so an address could be reached that nobody judged; here one method does all four steps and says which
one it is at. aiohttp keeps the pool, the limits and the protocol.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import cast

import aiohappyeyeballs
from aiohappyeyeballs.types import AddrInfoType
from aiohttp import BaseConnector, ClientRequest, ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace
from yarl import URL

from service.http.attempt import Attempt, Request
from service.http.failures import NotSentError, Phase

# (host, port) → addresses as text, best first. OSError when there are none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
# (address, scheme, port) → why it must not be called, or None.
Judge = Callable[[str, str, int], str | None]

HAPPY_EYEBALLS_DELAY = 0.25  # RFC 8305, section 8
RESOLVER_THREADS = 32
TLS_GOODBYE_SECONDS = 1.0


class Connector(BaseConnector):
    """aiohttp's pool over connections made here."""

    def __init__(
        self,
        *,
        connections: int,
        per_host: int,
        keepalive_seconds: float,
        ssl_context: ssl.SSLContext,
        judge: Judge | None,
        resolve: Resolve | None,
    ) -> None:
        super().__init__(limit=connections, limit_per_host=per_host, keepalive_timeout=keepalive_seconds)
        self._ssl_context = ssl_context
        self._judge = judge
        # Threads of its own: names whose servers never answer must not hold up anybody else's.
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")
        self._resolve: Resolve = resolve or self._getaddrinfo

    async def aclose(self) -> None:
        """Close all connections, also those in use."""
        await self.close(abort_ssl=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        attempt, url = cast("Request", req).attempt, req.url
        addresses = await self._addresses(url, attempt)
        attempt.phase = Phase.CONNECT
        sock = await aiohappyeyeballs.start_connection(
            [_addr_info(address, url.port or 0) for address in addresses],
            happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY,
        )
        loop = asyncio.get_running_loop()
        if url.scheme != "https":
            _, protocol = await loop.create_connection(self._factory, sock=sock)
            return protocol
        attempt.phase = Phase.TLS
        _, protocol = await loop.create_connection(
            self._factory,
            sock=sock,
            ssl=self._ssl_context,
            server_hostname=req.host.rstrip("."),  # certificates are made out without the trailing dot
            ssl_shutdown_timeout=TLS_GOODBYE_SECONDS,
        )
        return protocol

    async def _addresses(self, url: URL, attempt: Attempt) -> Sequence[str]:
        host, port = url.raw_host or "", url.port or 0
        attempt.phase = Phase.RESOLVE
        addresses = [host] if _is_literal(host) else await self._resolve(_hostname(host), port)
        if not addresses:
            raise NotSentError(Phase.RESOLVE, "the name has no address")
        attempt.phase = Phase.JUDGE
        if self._judge is not None:
            for address in addresses:
                if reason := self._judge(address, url.scheme, port):
                    raise NotSentError(Phase.JUDGE, reason)
        return addresses

    async def _getaddrinfo(self, host: str, port: int) -> Sequence[str]:
        lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, lookup)
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _is_literal(host: str) -> bool:
    """Only the canonical forms; `127.1` and its kind go to the resolver, which reads them."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _hostname(host: str) -> str:
    """The name, if it can be one: empty and overlong labels make both `getaddrinfo` and `ssl` stumble."""
    try:
        host.rstrip(".").encode("idna")
    except UnicodeError as error:
        raise NotSentError(Phase.RESOLVE, "this is not a host name") from error
    return host


def _addr_info(address: str, port: int) -> AddrInfoType:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)
