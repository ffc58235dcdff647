"""Places in the feed: its reader misses no event and sees none twice, in whatever order they commit."""

import asyncio

from harness.deliveries import Clock, Senders

from service.database import Database
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks import outbox
from service.webhooks.feed import Feed
from service.webhooks.outbox import Event
from service.webhooks.store import feed


def an_event(tenant: Tenant) -> Event:
    return Event(
        id=uuid7(),
        tenant_id=tenant.id,
        mode="live",
        job_id=uuid7(),
        type="job.completed",
        is_end=True,
        sequence=5,
        body=b"{}",
    )


async def stamp(database: Database) -> int:
    async with database.hot_statement() as connection:
        return await feed.stamp(connection)


async def read(database: Database, after: int = 0) -> list[tuple[int, object]]:
    async with database.driver() as driver:
        rows = await driver.fetch(
            "SELECT position, id FROM events WHERE position > $1 ORDER BY position", after
        )
    return [(row["position"], row["id"]) for row in rows]


async def test_an_event_that_commits_late_is_read_after_those_that_committed_before(
    database: Database, tenant: Tenant
) -> None:
    early, late = an_event(tenant), an_event(tenant)
    async with database.transaction() as open_for_long:
        await outbox.record(open_for_long, early, None, now=None)
        async with database.transaction() as connection:
            await outbox.record(connection, late, None, now=None)
        assert await read(database) == []
        assert await stamp(database) == 1
        ((position, first),) = await read(database)
        assert first == late.id
    assert await stamp(database) == 1
    assert [event for _, event in await read(database, after=position)] == [early.id]
    assert await stamp(database) == 0


async def test_a_reader_of_many_writers_and_stampers_misses_nothing_and_sees_nothing_twice(
    database: Database, tenant: Tenant
) -> None:
    written: list[object] = []
    seen: list[object] = []
    writing = True

    async def write() -> None:
        for number in range(30):
            event = an_event(tenant)
            async with database.transaction() as connection:
                await outbox.record(connection, event, None, now=None)
                await asyncio.sleep(0.001 * (number % 5))
            written.append(event.id)

    async def stamp_on() -> None:
        while writing:
            await stamp(database)

    async def read_on() -> None:
        after = 0
        while writing or await read(database, after):
            for position, event in await read(database, after):
                assert position > after
                after = position
                seen.append(event)

    stampers = [asyncio.create_task(stamp_on()) for _ in range(2)]
    reader = asyncio.create_task(read_on())
    await asyncio.gather(*(write() for _ in range(3)))
    await stamp(database)
    async with asyncio.timeout(10):
        while len(seen) < len(written):
            await stamp(database)
    writing = False
    await asyncio.gather(reader, *stampers)
    assert len(seen) == len(set(seen)) == 90
    assert set(seen) == set(written)


async def test_the_worker_stamps_when_it_is_woken_and_at_its_tick(
    senders: Senders, database: Database, clock: Clock
) -> None:
    stamper = Feed(database, tick_seconds=60)
    running = asyncio.create_task(stamper.run())
    event = await senders.tell(None)
    stamper.wake()
    async with asyncio.timeout(10):
        while not await read(database):
            await asyncio.sleep(0.01)
    assert [found for _, found in await read(database)] == [event.id]
    running.cancel()
    await asyncio.wait([running])
