"""A pool of asyncpg's own connections for the few statements that run for every job.

asyncpg's pool sets timers, wraps the connection and starts a task for each release, which together take more
CPU than such a statement does.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import asyncpg

IDLE_SECONDS = 300
"""What sits between here and Postgres forgets connections that are silent for longer."""


class Drivers:
    """At most so many connections, made when they are needed, each lent to one at a time."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], *, most: int, patience: float) -> None:
        """`patience` is for how many seconds one waits for a connection to come back; then TimeoutError."""
        self._connect = connect
        self._patience = patience
        self._idle: list[tuple[float, Any]] = []
        self._free = asyncio.Semaphore(most)
        self._is_closed = False

    def lend(self) -> "_Lent":
        """A connection for as long as the block runs."""
        return _Lent(self)

    async def take(self) -> Any:
        """A connection that nobody else has; it must be given back."""
        if self._free.locked():
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        else:
            await self._free.acquire()
        try:
            while self._idle:
                since, connection = self._idle.pop()
                if connection.is_closed():
                    continue
                if time.monotonic() - since < IDLE_SECONDS:
                    return connection
                connection.terminate()
            return await self._connect()
        except BaseException:
            self._free.release()
            raise

    def give_back(self, connection: Any, *, is_clean: bool) -> None:
        """What is in the middle of something is of no use to anybody."""
        self._free.release()
        if connection.is_closed():
            return
        if is_clean and not self._is_closed and not connection.is_in_transaction():
            self._idle.append((time.monotonic(), connection))
        else:
            connection.terminate()

    async def close(self) -> None:
        """Close them all; those that are in use when they come back."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop()[1].close()


class _Lent:
    __slots__ = ("_connection", "_drivers")

    def __init__(self, drivers: Drivers) -> None:
        self._drivers = drivers

    async def __aenter__(self) -> Any:
        self._connection = await self._drivers.take()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An error that Postgres told leaves the connection ready for the next statement.
        is_clean = error is None or isinstance(error, asyncpg.PostgresError)
        self._drivers.give_back(self._connection, is_clean=is_clean)
