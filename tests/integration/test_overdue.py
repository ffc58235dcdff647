"""A backlog whose deadline comes at the same moment: each is ended and told, and stands in nobody's way."""

import asyncio
from datetime import UTC, datetime

from harness.world import World
from sqlalchemy import text

from service.jobs.lifecycle import Status
from service.jobs.overdue import ENDED_AT_ONCE

COUNT = 2 * ENDED_AT_ONCE + 5
OVERDUE = "SELECT count(*) FROM jobs WHERE waiting_for = 'deadline'"


async def test_what_is_overdue_together_is_ended_one_by_one_and_told(world: World) -> None:
    engine = world.start(upstream_max_in_flight=1)
    running = await world.until(await world.accept("sim:queue=0 sim:run=3"), Status.IN_PROGRESS)
    overdue = [await world.accept(f"{n}", expires_in=1, priority="high") for n in range(COUNT)]
    behind = await world.accept("behind")
    for job in overdue:
        ended = await world.ended(job)
        assert (ended.status, ended.submits, ended.waiting_for) == (Status.EXPIRED, 0, None)
        assert (ended.error or {})["may_be_charged"] is False
    for job in (running, behind):
        assert (await world.ended(job)).status is Status.COMPLETED
    assert len({event["data"]["id"] for event in await world.told(COUNT + 2)}) == COUNT + 2
    await world.stop(engine)


async def test_jobs_that_cannot_be_ended_now_are_out_of_the_line_all_the_same(world: World) -> None:
    """As with a backlog so long that ending it takes minutes."""
    for number in range(COUNT):
        await world.accept(f"{number}", now=datetime(2026, 1, 1, tzinfo=UTC), priority="high")
    async with world.database.driver() as driver:
        await driver.execute("ALTER TABLE job_events ADD CONSTRAINT fault CHECK (type <> 'job.expired')")
    world.start()
    job = await world.accept("behind")
    assert (await world.ended(job)).status is Status.COMPLETED
    async with asyncio.timeout(10), world.database.statement() as connection:
        while await connection.scalar(text(OVERDUE)) < COUNT:
            await asyncio.sleep(0.05)
