"""Connections that are kept for the next request, and the limit of how many are in use at once."""

import asyncio
import time
from collections import Counter, deque

from service.http.answer import Origin
from service.http.connection import Connection
from service.http.connector import Connector, Way
from service.http.failures import NotSentError, Phase


class Pool:
    """Gives out a kept connection, or makes one; whoever waits for a place is served in order."""

    def __init__(
        self, connector: Connector, *, connections: int, per_host: int, keepalive_seconds: float
    ) -> None:
        self._connector = connector
        self._places = connections
        self._most_of_one = per_host or connections
        self._keepalive = keepalive_seconds
        self._idle: dict[Origin, deque[Connection]] = {}
        self._used: Counter[Origin] = Counter()
        self._in_use: set[Connection] = set()
        self._waiting: deque[tuple[Origin, asyncio.Future[None]]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, origin: Origin) -> Connection | None:
        """A connection that was kept, if there is a place and one that is still good."""
        if self._waiting or not self._has_room(origin):
            return None
        return self._kept(origin)

    async def get(self, origin: Origin, way: Way) -> Connection:
        """The same, waiting for a place, and with a new connection if none was kept."""
        while not self._has_room(origin):
            await self._wait(origin)
        if kept := self._kept(origin):
            return kept
        self._places -= 1
        self._used[origin] += 1
        try:
            connection = await self._connector.connect(origin, way)
            if not self._is_open():
                connection.drop()
                raise NotSentError(way.phase, "the transport was closed")
        except BaseException:
            self._free(origin)
            raise
        self._in_use.add(connection)
        return connection

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep it for the next one, if it is still good."""
        self._in_use.discard(connection)
        if connection.is_usable and self._keepalive > 0 and self._is_open():
            connection.idle_since = time.monotonic()
            self._idle.setdefault(origin, deque()).append(connection)
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(self._keepalive, self._close_old)
        else:
            connection.close()
        self._free(origin)

    def close(self) -> None:
        """End all that is under way, and keep nothing."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for kept in self._idle.values():
            for connection in kept:
                connection.drop()
        self._idle.clear()
        for connection in list(self._in_use):
            connection.fail("the transport was closed")
        for _, waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(NotSentError(Phase.POOL, "the transport was closed"))

    def _is_open(self) -> bool:
        return not self._is_closed

    def _has_room(self, origin: Origin) -> bool:
        return self._places > 0 and self._used[origin] < self._most_of_one

    def _kept(self, origin: Origin) -> Connection | None:
        """The one that was used last: the others may grow old."""
        kept = self._idle.get(origin)
        while kept:
            connection = kept.pop()
            if connection.is_usable and time.monotonic() - connection.idle_since < self._keepalive:
                self._places -= 1
                self._used[origin] += 1
                self._in_use.add(connection)
                return connection
            connection.close()
        return None

    async def _wait(self, origin: Origin) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((origin, turn))
        try:
            await turn
        except BaseException:
            self._next()  # it may have been this one's turn
            raise

    def _free(self, origin: Origin) -> None:
        self._places += 1
        self._used[origin] -= 1
        if not self._used[origin]:
            del self._used[origin]
        self._next()

    def _next(self) -> None:
        """Let the first go on that has waited for what is free now."""
        for place in tuple(self._waiting):
            origin, turn = place
            if turn.done():
                self._waiting.remove(place)
            elif self._has_room(origin):
                self._waiting.remove(place)
                turn.set_result(None)
                return

    def _close_old(self) -> None:
        before = time.monotonic() - self._keepalive
        for origin, kept in list(self._idle.items()):
            while kept and (kept[0].idle_since <= before or not kept[0].is_usable):
                kept.popleft().close()
            if not kept:
                del self._idle[origin]
        again = self._keepalive if self._idle else None
        self._sweep = asyncio.get_running_loop().call_later(again, self._close_old) if again else None
