"""The pool of connections, and the two ways to use one of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Connection = AsyncConnection

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30


class Database:
    """A pool. Nothing connects before the first statement."""

    def __init__(self, url: str, *, connections: int = 10) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
            connect_args={
                "timeout": CONNECT_SECONDS,
                # Postgres may hang without closing: nobody waits for it longer than this.
                "command_timeout": STATEMENT_SECONDS,
                "server_settings": {"application_name": "edit-jobs", "timezone": "UTC"},
            },
        )
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Several statements that hold together: committed at the end, or none of them."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """One statement that stands for itself: Postgres commits it as it runs."""
        async with self._autocommit.connect() as connection:
            yield connection

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[Any]:
        """Asyncpg's own connection, outside a transaction, for the one statement that must be cheapest."""
        async with self._autocommit.connect() as connection:
            raw = await connection.get_raw_connection()
            yield raw.driver_connection

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()
