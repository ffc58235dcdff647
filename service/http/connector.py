"""New connections: resolve once, judge every address, connect to exactly those, then TLS.

Literals are judged like any other address, and one method does all four steps and says which one it is at.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohappyeyeballs
from aiohappyeyeballs.types import AddrInfoType

from service.http.answer import Origin
from service.http.connection import Connection
from service.http.failures import NotSentError, Phase

# (host, port) → addresses as text, best first. OSError when there are none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
# (address, scheme, port) → why it must not be called, or None.
Judge = Callable[[str, str, int], str | None]

HAPPY_EYEBALLS_DELAY = 0.25  # RFC 8305, section 8
TLS_GOODBYE_SECONDS = 1.0


class Way:
    """What the making of a connection is at; it has not sent anything yet."""

    __slots__ = ("phase",)

    def __init__(self) -> None:
        self.phase = Phase.POOL


class Connector:
    """Makes connections."""

    def __init__(
        self, *, ssl_context: ssl.SSLContext, judge: Judge | None, resolve: Resolve | None, at_once: int
    ) -> None:
        """`at_once` is how many connections may be in the making."""
        self._ssl_context = ssl_context
        self._judge = judge
        # Threads of its own, one for each: names whose servers never answer must not hold up anybody else's.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="resolve")
        self._resolve: Resolve = resolve or self._getaddrinfo

    async def connect(self, origin: Origin, way: Way) -> Connection:
        """Raises NotSentError for what is not to be called, and OSError or ValueError for what fails."""
        addresses = await self._addresses(origin, way)
        way.phase = Phase.CONNECT
        sock = await aiohappyeyeballs.start_connection(
            [_addr_info(address, origin.port) for address in addresses],
            happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY,
        )
        loop = asyncio.get_running_loop()
        if origin.scheme != "https":
            _, connection = await loop.create_connection(Connection, sock=sock)
            return connection
        way.phase = Phase.TLS
        _, connection = await loop.create_connection(
            Connection,
            sock=sock,
            ssl=self._ssl_context,
            server_hostname=origin.host.rstrip("."),  # certificates are made out without the trailing dot
            ssl_shutdown_timeout=TLS_GOODBYE_SECONDS,
        )
        return connection

    def close(self) -> None:
        """Look up no more names."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _addresses(self, origin: Origin, way: Way) -> Sequence[str]:
        host, port = origin.host, origin.port
        way.phase = Phase.RESOLVE
        addresses = [host] if _is_literal(host) else await self._resolve(_hostname(host), port)
        if not addresses:
            raise NotSentError(Phase.RESOLVE, "the name has no address")
        way.phase = Phase.JUDGE
        if self._judge is not None:
            for address in addresses:
                if reason := self._judge(address, origin.scheme, port):
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
