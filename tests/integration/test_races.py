"""What happens at the same moment: cancels, deadlines, outages and restarts, each at its worst."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from harness.world import World
from sqlalchemy import text

from service.dev.embedded import Postgres, Redis
from service.errors import NotCancellableError
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.pace import Pace
from service.jobs.store import claims, moves
from service.jobs.store.claims import Owner
from service.tenants.models import PLATFORM_TOKEN_ID

Accepting = Callable[..., Awaitable[Job]]
OWNER = Owner(name="w", lease=30.0)


async def claim(world: World) -> Job:
    async with world.database.transaction() as connection:
        taken = await claims.take_waiting(
            connection, OWNER, token_id=PLATFORM_TOKEN_ID, places=9, room=9, now=None
        )
    (job,) = taken.jobs
    return job


async def test_a_cancel_between_claim_and_intent_keeps_the_job_from_being_sent(world: World) -> None:
    await world.accept("claimed")
    job = await claim(world)
    assert (await world.cancel(job)).status is Status.CANCELLED
    async with world.database.statement() as connection:
        assert await moves.intend(connection, job, OWNER) is None


async def test_an_intent_before_the_cancel_lets_the_answer_decide(world: World) -> None:
    await world.accept("sent")
    claimed = await claim(world)
    async with world.database.statement() as connection:
        job = await moves.intend(connection, claimed, OWNER)
    assert job is not None
    pending = await world.cancel(job, hold=0)
    assert (pending.status, pending.cancel_outcome) == (Status.SUBMITTING, "pending")
    async with world.database.statement() as connection:
        taken = await moves.take(connection, job, OWNER, upstream_id="up-1")
    assert taken is not None
    assert (taken.status, taken.cancel_outcome) == (Status.IN_QUEUE, "pending")


async def test_a_cancel_during_the_post_is_brought_to_the_upstream_once_it_is_taken(world: World) -> None:
    await world.fault(latency=1)
    world.start()
    job = await world.until(await world.accept("sim:queue=60"), Status.SUBMITTING)
    await world.fault(latency=0)
    cancelled = await world.cancel(job)
    assert (cancelled.status, cancelled.submits) == (Status.CANCELLED, 1)
    assert (await world.types(job))[-3:] == ["job.cancel_requested", "job.submitted", "job.cancelled"]


async def test_a_cancel_of_a_job_whose_submit_is_not_taken_ends_it_here(world: World) -> None:
    await world.fault(latency=1, busy=True)
    world.start()
    job = await world.until(await world.accept("refused for now"), Status.SUBMITTING)
    cancelled = await world.cancel(job)
    assert (cancelled.status, cancelled.upstream_id) == (Status.CANCELLED, None)
    assert (await world.stats())["taken"] == 0


async def test_two_callers_who_cancel_at_once_are_told_the_same(world: World) -> None:
    world.start()
    job = await world.until(await world.accept("sim:queue=60"), Status.IN_QUEUE)
    first, second = await asyncio.gather(world.cancel(job), world.cancel(job))
    again = await world.cancel(job)
    assert {first.status, second.status, again.status} == {Status.CANCELLED}
    assert (await world.types(job)).count("job.cancelled") == 1
    assert len(await world.told(1)) == 1


async def test_a_cancel_as_the_job_ends_leaves_one_end(world: World) -> None:
    world.start()
    jobs = [await world.accept(f"{n} sim:queue=0.05 sim:run=0") for n in range(12)]
    answers = await asyncio.gather(*(world.cancel(job) for job in jobs), return_exceptions=True)
    for job, answer in zip(jobs, answers, strict=True):
        ended = await world.ended(job)
        ends = [name for name in await world.types(job) if name.removeprefix("job.") == ended.status]
        assert len(ends) == 1
        if isinstance(answer, Job):
            assert ended.status is Status.CANCELLED
        else:
            assert isinstance(answer, NotCancellableError)
            assert ended.status is Status.COMPLETED
    told = await world.told(12)
    assert len({event["data"]["id"] for event in told}) == len(told) == 12


async def test_a_job_that_still_waits_at_its_deadline_expires_and_cost_nothing(world: World) -> None:
    world.start(upstream_max_in_flight=1)
    await world.until(await world.accept("sim:queue=0 sim:run=60"), Status.IN_PROGRESS)
    job = await world.ended(await world.accept("no place for it", expires_in=1))
    assert job.error is not None
    assert (job.status, job.error["may_be_charged"], job.submits) == (Status.EXPIRED, False, 0)
    (told,) = await world.told(1)
    assert told["type"] == "job.expired"


async def test_a_job_that_ends_at_its_last_read_has_not_expired(world: World) -> None:
    """Its next read would come after the deadline: the last one is made at the deadline."""
    world.start(pace=Pace(cost=1, shortest=60, longest=60))
    job = await world.ended(await world.accept("done in time", expires_in=2))
    assert job.status is Status.COMPLETED


async def test_bells_are_heard_again_after_redis_was_restarted(world: World, redis: Redis) -> None:
    """The tick is far away, so only a bell can start this job in time."""
    world.start(tick_seconds=60, lease_seconds=120)
    assert (await world.ended(await world.accept("heard"))).status is Status.COMPLETED
    await asyncio.to_thread(redis.kill)
    await asyncio.to_thread(redis.start)
    job = await world.accept("heard again")
    async with asyncio.timeout(20):
        while not (await world.read(job)).has_ended:
            world.bell.ring()
            await asyncio.sleep(0.2)


async def test_a_postgres_that_stalls_for_longer_than_a_lease_fails_no_healthy_submit(world: World) -> None:
    """Whoever comes back first must not take the others' jobs: everybody may renew before."""
    for _ in range(2):
        world.start()
    jobs = [await world.accept(f"{n} sim:queue=0.1 sim:run=3") for n in range(20)]
    for job in jobs:
        await world.until(job, Status.IN_QUEUE, Status.IN_PROGRESS)
    async with world.database.transaction() as stall:
        await stall.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        await asyncio.sleep(world.settings.lease_seconds + 0.5)
    for job in jobs:
        ended = await world.ended(job)
        assert (ended.status, ended.submits) == (Status.COMPLETED, 1)
    assert (await world.stats())["calls"]["submit"] == 20


async def test_nothing_that_was_accepted_is_lost_when_postgres_is_killed_under_load(
    world: World, postgres: Postgres
) -> None:
    world.start()
    jobs = [await world.accept(f"{n} sim:queue=0.1 sim:run=2") for n in range(30)]
    await world.until(jobs[-1], Status.IN_QUEUE, Status.IN_PROGRESS)
    await asyncio.to_thread(postgres.kill)
    await asyncio.to_thread(postgres.start)
    await world.database.close()
    for job in jobs:
        assert (await world.ended(job, seconds=30)).status is Status.COMPLETED
    told = await world.told(30, seconds=30)
    assert len({event["data"]["id"] for event in told}) == 30
    assert (await world.stats())["calls"]["submit"] == 30


@pytest.mark.parametrize("sqlstate", ["53100", "53300"], ids=["a full disk", "no connection left"])
async def test_a_postgres_without_resources_stops_nothing_for_good(world: World, sqlstate: str) -> None:
    job = await world.accept("in the middle")
    async with world.database.driver() as driver:
        await driver.execute(
            f"""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{sqlstate}'; END $$
            """
        )
        await driver.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON job_events FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    world.start()
    async with asyncio.timeout(10):
        while (waiting := await world.read(job)).epoch == 0:
            await asyncio.sleep(0.02)
    assert (waiting.status, waiting.sequence) == (Status.ACCEPTED, 1)
    async with world.database.driver() as driver:
        await driver.execute("DROP TRIGGER refuse ON job_events")
    ended = await world.ended(job)
    assert (ended.status, ended.submits) == (Status.COMPLETED, 1)
