"""The pool of connections, and the ways to use one of them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.database.driver import Driver
from service.database.drivers import Drivers
from service.errors import UnavailableError

Connection = AsyncConnection
AnyConnection = AsyncConnection | Driver
"""For statements that are texts: they run on either."""

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
LOCK_SECONDS = 3
IDLE_SECONDS = 5
"""A process that freezes in a transaction would keep its locks, and everybody behind them, for as long as it
is frozen. Postgres ends such a transaction; when the process wakes, it finds its connection gone."""
_ARGUMENTS: dict[str, Any] = {
    "timeout": CONNECT_SECONDS,
    # Postgres may hang without closing: nobody waits for it longer than this.
    "command_timeout": STATEMENT_SECONDS,
    "server_settings": {
        "application_name": "edit-jobs",
        "timezone": "UTC",
        "lock_timeout": f"{LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    },
}
# What runs for every job is planned once. Postgres would plan a statement with arrays each time, which takes
# as long as running it, and while a table is small it would choose to read all of it, also when it has grown.
_PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
_ARGUMENTS_OF_DRIVER = _ARGUMENTS | {"server_settings": _ARGUMENTS["server_settings"] | _PLANNED_ONCE}

# Row-level security reads these; they end with the transaction.
_FOR_TENANT = text("SELECT set_config('app.tenant', :tenant, true)")
_FOR_OPERATOR = text("SELECT set_config('app.operator', 'on', true)")


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
            connect_args=_ARGUMENTS,
            hide_parameters=True,  # errors are logged, and what callers sent is not
        )
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        # Half of all for what takes long, of whichever tenants, and half of that for one of them.
        self._at_length = asyncio.Semaphore(max(1, connections // 2))
        self._turns = defaultdict[UUID, asyncio.Semaphore](
            lambda: asyncio.Semaphore(max(1, connections // 4))
        )
        self._drivers = Drivers(self._connect_driver, most=connections, patience=CONNECT_SECONDS)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Several statements that hold together: committed at the end, or none of them."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def of_tenant(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """A transaction in which the API's role sees the rows of this tenant, and no others."""
        async with self.engine.begin() as connection:
            await connection.execute(_FOR_TENANT, {"tenant": str(tenant_id)})
            yield connection

    @asynccontextmanager
    async def of_tenant_at_length(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        """The same for what may take long: it waits its turn, so that no tenant ever holds all connections.

        Raises UnavailableError if its turn does not come.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await stack.enter_async_context(self._turns[tenant_id])
                    await stack.enter_async_context(self._at_length)
            except TimeoutError:
                raise UnavailableError("Too much is being read at once. Ask again.", retry_after=1) from None
            yield await stack.enter_async_context(self.of_tenant(tenant_id))

    @asynccontextmanager
    async def of_operator(self, tenant_id: UUID | None = None) -> AsyncIterator[Connection]:
        """A transaction in which it sees every tenant, with its keys and its account; no jobs.

        With `tenant_id`, also the rows of that tenant.
        """
        async with self.engine.begin() as connection:
            await connection.execute(_FOR_OPERATOR)
            if tenant_id is not None:
                await connection.execute(_FOR_TENANT, {"tenant": str(tenant_id)})
            yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """One statement that stands for itself: Postgres commits it as it runs."""
        async with self._autocommit.connect() as connection:
            yield connection

    def driver(self) -> AbstractAsyncContextManager[Any]:
        """Asyncpg's own connection, outside a transaction, for the one statement that must be cheapest.

        It comes from a pool of its own: the way through SQLAlchemy costs more CPU than the statement.
        """
        return self._drivers.lend()

    @asynccontextmanager
    async def hot_transaction(self) -> AsyncIterator[Driver]:
        """As `transaction`, on the driver: for the few statements that run for every job."""
        async with self.driver() as connection:
            driver = Driver(connection, begins=True)
            try:
                yield driver
            except BaseException:
                await driver.end("ROLLBACK")
                raise
            await driver.end("COMMIT")

    @asynccontextmanager
    async def hot_statement(self) -> AsyncIterator[Driver]:
        """As `statement`, on the driver."""
        async with self.driver() as connection:
            yield Driver(connection)

    async def close(self) -> None:
        """Close every connection."""
        await self._drivers.close()
        await self.engine.dispose()

    async def _connect_driver(self) -> Any:
        """Reads json as the engine does. Parameters are text already: statements cast them."""
        _, address = self.engine.dialect.create_connect_args(self.engine.url)
        connection = await asyncpg.connect(**address, **_ARGUMENTS_OF_DRIVER)
        try:
            await connection.set_type_codec(
                "json", schema="pg_catalog", encoder=_as_it_is, decoder=msgspec.json.decode
            )
        except BaseException:
            connection.terminate()
            raise
        return connection


def _as_it_is(text: str) -> str:
    return text
