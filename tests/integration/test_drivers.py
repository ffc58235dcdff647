"""Connections are lent to one at a time, and come back only if they are as good as new."""

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from service.database import Database, is_outage
from service.database.drivers import Drivers
from service.database.locks import take_lock


async def served_by(database: Database) -> int:
    async with database.driver() as driver:
        return int(driver.get_server_pid())


async def test_a_connection_is_used_again(database: Database) -> None:
    assert await served_by(database) == await served_by(database)


async def test_no_two_have_the_same_one(database: Database) -> None:
    async with database.driver() as first, database.driver() as second:
        assert first.get_server_pid() != second.get_server_pid()


async def test_one_in_the_middle_of_something_is_not_lent_again(database: Database) -> None:
    async def cancelled(driver: Any) -> None:
        sleeping = asyncio.create_task(driver.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        sleeping.cancel()
        await sleeping

    pid = await served_by(database)
    with pytest.raises(asyncio.CancelledError):
        async with database.driver() as driver:
            await cancelled(driver)
    assert await served_by(database) != pid


async def test_one_with_an_open_transaction_is_not_lent_again(database: Database) -> None:
    async with database.driver() as driver:
        pid = driver.get_server_pid()
        await driver.execute("BEGIN")
    assert await served_by(database) != pid


async def test_one_that_postgres_closed_is_replaced(database: Database) -> None:
    async with database.driver() as driver, database.driver() as other:
        await other.execute("SELECT pg_terminate_backend($1)", driver.get_server_pid())
        async with asyncio.timeout(5):
            while not driver.is_closed():
                await asyncio.sleep(0.01)
    assert await served_by(database)


async def test_who_finds_none_free_waits_and_then_hears_of_an_outage(database_url: str) -> None:
    address = database_url.replace("postgresql+asyncpg", "postgresql")
    drivers = Drivers(lambda: asyncpg.connect(address), most=1, patience=0.1)
    async with drivers.lend():
        with pytest.raises(TimeoutError) as raised:
            await drivers.take()
    assert is_outage(raised.value)
    async with drivers.lend() as driver:
        assert await driver.fetchval("SELECT 1") == 1
    await drivers.close()


async def test_who_goes_while_a_connection_is_made_leaves_none_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to the garbage collector it would be told of, as a warning."""

    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"
    async with database.driver() as driver:
        before = await driver.fetchval(others, driver.get_server_pid())
        monkeypatch.setattr(asyncpg.Connection, "set_type_codec", never)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), database.driver():
                pass
        async with asyncio.timeout(5):
            while await driver.fetchval(others, driver.get_server_pid()) > before:
                await asyncio.sleep(0.02)


async def test_after_the_end_those_in_use_are_closed_when_they_come_back(database_url: str) -> None:
    database = Database(database_url, connections=2)
    async with database.driver() as driver:
        await database.close()
        assert await driver.fetchval("SELECT 1") == 1
    assert driver.is_closed()


LOCK = "1"
HELD = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
KEEP = text("INSERT INTO run_times (model, bucket, weight) VALUES ('a/b', :bucket, 1)")
KEPT = text("SELECT bucket FROM run_times ORDER BY bucket")


@pytest.mark.parametrize("locked", [True, False])
async def test_a_hot_transaction_is_one_from_its_first_statement_on(
    database: Database, *, locked: bool
) -> None:
    class CalledOffError(Exception):
        pass

    async def write(bucket: int, *, before: list[int], called_off: bool = False) -> None:
        async with database.hot_transaction() as connection:
            if locked:
                await take_lock(connection, LOCK)
            await connection.execute(KEEP, {"bucket": bucket})
            assert (await connection.execute(HELD, {}))[0][0] == locked
            async with database.hot_statement() as other:
                assert [row[0] for row in await other.execute(KEPT, {})] == before
            if called_off:
                raise CalledOffError

    await write(1, before=[])
    with pytest.raises(CalledOffError):
        await write(2, before=[1], called_off=True)
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(1, before=[1])
    async with database.hot_statement() as connection:
        assert [row[0] for row in await connection.execute(KEPT, {})] == [1]
        assert (await connection.execute(HELD, {}))[0][0] == 0


async def test_a_hot_transaction_without_a_statement_is_none(database: Database) -> None:
    async with database.hot_transaction():
        pass
