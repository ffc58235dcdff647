"""What a job cost: told at its end, or asked for again, twice at most."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from harness.world import World
from sqlalchemy import text

from service.database import Database
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store import costs
from service.jobs.store.costs import Told
from service.tenants.tenant import Tenant

PRICE = Decimal("0.015000")


async def let_it_be_due(world: World, job: Job) -> None:
    async with world.database.statement() as connection:
        await connection.execute(
            text("UPDATE jobs SET cost_due_at = now() WHERE id = :id AND cost_due_at IS NOT NULL"),
            {"id": job.id},
        )


async def test_a_cost_that_the_end_tells_is_kept_and_not_asked_for_again(world: World) -> None:
    world.start()
    job = await world.ended(await world.accept("x"))
    assert (job.cost_usd, job.cost_due_at) == (PRICE, None)
    (event,) = await world.told(1)
    assert event["data"]["cost_usd"] == 0.015


async def test_a_cost_that_is_known_later_comes_without_an_event(world: World) -> None:
    world.start()
    job = await world.ended(await world.accept("sim:latecost=0.2"))
    assert job.finished_at is not None
    assert (job.cost_usd, job.cost_due_at) == (None, job.finished_at + timedelta(minutes=1))
    timeline = await world.types(job)
    await let_it_be_due(world, job)
    async with asyncio.timeout(15):
        while (now := await world.read(job)).cost_usd is None:
            await asyncio.sleep(0.05)
    assert (now.cost_usd, now.cost_due_at, now.status) == (PRICE, None, Status.COMPLETED)
    assert (await world.types(job), len(await world.told(1))) == (timeline, 1)


async def test_a_cost_that_is_never_told_is_asked_for_twice(world: World) -> None:
    world.start()
    job = await world.ended(await world.accept("sim:nocost"))
    assert job.finished_at is not None
    await let_it_be_due(world, job)
    async with asyncio.timeout(15):
        while (await world.read(job)).cost_due_at != job.finished_at + timedelta(hours=1):
            await asyncio.sleep(0.05)
    async with world.database.statement() as connection:
        await connection.execute(text("UPDATE jobs SET finished_at = finished_at - interval '1 hour'"))
    await let_it_be_due(world, job)
    async with asyncio.timeout(15):
        while (await world.read(job)).cost_due_at is not None:
            await asyncio.sleep(0.05)
    assert (await world.read(job)).cost_usd is None
    async with asyncio.timeout(15):
        while (await world.stats())["calls"]["result"] < 3:
            await asyncio.sleep(0.05)


async def test_a_failure_may_have_cost_something_and_a_refusal_has_not(world: World) -> None:
    world.start()
    failed = await world.ended(await world.accept("sim:fail"))
    refused = await world.ended(await world.accept("sim:reject"))
    lost = await world.ended(await world.accept("sim:lost"))
    assert failed.cost_due_at is not None
    assert (refused.cost_due_at, lost.cost_due_at) == (None, None)


async def test_what_expired_while_it_ran_is_asked_for_and_what_was_cancelled_is_not(world: World) -> None:
    world.start()
    running = await world.accept("sim:queue=0 sim:stuck", expires_in=1)
    queued = await world.accept("sim:queue=60", expires_in=1)
    assert (await world.ended(running)).cost_due_at is not None
    assert (await world.ended(queued)).cost_due_at is None


async def test_a_test_job_is_never_asked_for(world: World) -> None:
    world.start()
    tester = Tenant(id=world.tenant.id, mode="test")
    job = await world.ended(await world.accept("sim:queue=0 sim:run=0", owner=tester))
    assert (job.cost_usd, job.cost_due_at) == (None, None)


async def test_a_late_cost_overwrites_none_that_is_there(world: World, database: Database) -> None:
    world.start()
    job = await world.ended(await world.accept("x"))
    running = await world.until(await world.accept("sim:queue=0 sim:run=60"), Status.IN_PROGRESS)
    async with database.statement() as connection:
        nobody = Told(UUID(int=1), Decimal(7))
        await costs.keep(connection, [Told(job.id, Decimal(7)), Told(running.id, Decimal(7)), nobody])
    assert (await world.read(job)).cost_usd == PRICE
    assert (await world.read(running)).cost_usd is None
