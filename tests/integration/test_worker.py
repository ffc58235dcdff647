"""The engine of a worker, on a real Postgres and Redis, against the simulated upstream."""

import asyncio
from typing import Any

import httpx
import pytest
from harness.world import World

from service.dev.embedded import Postgres
from service.errors import NotCancellableError
from service.jobs.lifecycle import Status
from service.jobs.pace import Pace
from service.queue import Bell
from service.tenants.models import PLATFORM_TOKEN_ID
from service.worker.engine import Engine


async def test_a_job_goes_all_the_way_and_its_end_is_told_once(world: World) -> None:
    world.start()
    job = await world.ended(await world.accept("make it night"))
    assert job.status is Status.COMPLETED
    assert job.output is not None
    assert len(job.output["images"]) == 1
    (told,) = await world.told(1)
    assert told["type"] == "job.completed"
    assert told["data"]["id"] == str(job.id)
    assert told["data"]["output"] == job.output
    assert told["data"]["sequence"] == job.sequence
    assert "input" not in told["data"]
    types = await world.types(job)
    assert types[:3] == ["job.accepted", "job.submitting", "job.submitted"]
    assert types[-1] == "job.completed"


ENDINGS: list[tuple[str, dict[str, Any], str, str | None, bool | None]] = [
    ("sim:fail", {}, "failed", "upstream_failed", True),
    ("sim:reject", {}, "failed", "upstream_rejected", False),
    ("sim:lost", {}, "failed", "submission_unconfirmed", True),
    ("sim:500", {}, "failed", "submission_unconfirmed", True),
    ("sim:refused", {}, "failed", "submission_unconfirmed", True),
    ("sim:500", {"on_unconfirmed": "resubmit"}, "completed", None, None),
    ("sim:refused", {"on_unconfirmed": "resubmit"}, "completed", None, None),
    ("sim:html", {}, "completed", None, None),
    ("sim:error200", {}, "completed", None, None),
    ("sim:word", {}, "completed", None, None),
    ("sim:blip", {}, "completed", None, None),
    ("sim:notready", {}, "completed", None, None),
    ("sim:stuck", {"expires_in": 1}, "expired", "expired", True),
    ("sim:queue=60", {"expires_in": 1}, "expired", "expired", False),
]


async def test_each_of_the_upstreams_surprises_ends_as_it_should(world: World) -> None:
    world.start()
    jobs = [await world.accept(f"{n} {end[0]}", **end[1]) for n, end in enumerate(ENDINGS)]
    for job, (prompt, fields, status, code, charged) in zip(jobs, ENDINGS, strict=True):
        ended = await world.ended(job)
        assert ended.status == status, (prompt, fields, ended.error)
        if code:
            assert ended.error is not None
            assert (ended.error["code"], ended.error["may_be_charged"]) == (code, charged), prompt
            assert not (ended.error["retryable"] and ended.error["may_be_charged"])
    told = await world.told(len(jobs))
    assert sorted(event["data"]["id"] for event in told) == sorted(str(job.id) for job in jobs)


async def test_the_upstreams_words_are_the_errors_message(world: World) -> None:
    world.start()
    failed = await world.ended(await world.accept("sim:fail"))
    rejected = await world.ended(await world.accept("sim:reject"))
    async with httpx.AsyncClient(headers={"authorization": "Bearer tok"}) as client:
        url = f"{world.settings.upstream_url}/v1/requests/{failed.upstream_id}/result"
        result = (await client.get(url)).json()
    assert failed.error is not None
    assert failed.error["message"] == result["error"]
    assert rejected.error is not None
    assert rejected.error["upstream"]["http_status"] == 400


async def test_a_job_that_waits_here_is_cancelled_at_once(world: World) -> None:
    job = await world.cancel(await world.accept("never sent"))
    assert (job.status, job.cancel_outcome, job.upstream_id) == (Status.CANCELLED, "cancelled", None)
    world.start()
    (told,) = await world.told(1)
    assert told["data"]["cancel"]["outcome"] == "cancelled"
    assert (await world.stats())["calls"]["submit"] == 0


async def test_a_job_in_the_upstreams_queue_is_cancelled_there(world: World) -> None:
    world.start()
    job = await world.until(await world.accept("sim:queue=60"), Status.IN_QUEUE)
    cancelled = await world.cancel(job)
    assert (cancelled.status, cancelled.cancel_outcome) == (Status.CANCELLED, "cancelled")
    assert (await world.stats())["calls"]["cancel"] == 1
    assert (await world.types(job))[-2:] == ["job.cancel_requested", "job.cancelled"]
    await world.told(1)


async def test_a_running_job_is_not_cancelled_and_goes_on_to_its_end(world: World) -> None:
    world.start()
    job = await world.until(await world.accept("sim:queue=0 sim:run=2"), Status.IN_PROGRESS)
    with pytest.raises(NotCancellableError):
        await world.cancel(job)
    assert (await world.ended(job)).status is Status.COMPLETED


async def test_a_wish_that_the_upstream_refuses_is_noted_and_the_job_goes_on(world: World) -> None:
    """Here it still reads as queued, there it runs: the upstream's word decides."""
    world.start(pace=Pace(cost=1, shortest=2, longest=2))
    job = await world.until(await world.accept("sim:queue=0 sim:run=3"), Status.IN_QUEUE)
    with pytest.raises(NotCancellableError):
        await world.cancel(job)
    noted = await world.read(job)
    assert (noted.status, noted.cancel_outcome) == (Status.IN_QUEUE, "not_cancellable")
    ended = await world.ended(job)
    assert (ended.status, ended.cancel_outcome) == (Status.COMPLETED, "not_cancellable")


async def test_a_wish_during_an_outage_of_the_upstream_stays_pending_until_it_answers(world: World) -> None:
    world.start()
    job = await world.until(await world.accept("sim:queue=60"), Status.IN_QUEUE)
    await world.fault(down=True)
    pending = await world.cancel(job, hold=0.3)
    assert (pending.status, pending.cancel_outcome) == (Status.IN_QUEUE, "pending")
    await world.fault(down=False)
    async with world.database.driver() as driver:
        await driver.execute("UPDATE jobs SET cancel_due_at = clock_timestamp()")
    assert (await world.ended(job)).status is Status.CANCELLED


async def test_two_workers_never_have_more_upstream_than_there_are_places(world: World) -> None:
    for number in range(40):
        await world.accept(f"boat {number} sim:queue=0.05 sim:run=0.1")
    for _ in range(2):
        world.start(upstream_max_in_flight=5)
    await world.told(40, seconds=30)
    stats = await world.stats()
    assert stats["highest_in_flight"] <= 5
    assert stats["calls"]["submit"] == 40


async def test_a_worker_that_stops_hands_over_and_nothing_is_sent_twice(world: World) -> None:
    first = world.start(lease_seconds=60)
    jobs = [await world.accept(f"boat {number} sim:queue=0 sim:run=3") for number in range(10)]
    for job in jobs:
        await world.until(job, Status.IN_PROGRESS, Status.IN_QUEUE)
    await world.stop(first)
    assert not any([(await world.read(job)).has_ended for job in jobs])
    world.start(lease_seconds=60)
    for job in jobs:
        assert (await world.ended(job)).status is Status.COMPLETED
    await world.told(10)
    assert (await world.stats())["calls"]["submit"] == 10


async def test_a_job_that_is_taken_while_its_worker_stops_is_handed_over(world: World) -> None:
    engine = world.start(lease_seconds=60)
    await world.fault(latency=1)
    job = await world.until(await world.accept("slow to be taken"), Status.SUBMITTING)
    await world.stop(engine)
    left = await world.read(job)
    assert (left.status, left.owner) == (Status.IN_QUEUE, None)


async def test_an_answer_that_was_paid_for_outlives_a_stop_while_postgres_is_away(
    world: World, postgres: Postgres
) -> None:
    engine = world.start()
    followed = await world.until(await world.accept("sim:queue=0 sim:run=60"), Status.IN_PROGRESS)
    await world.fault(latency=1)
    job = await world.until(await world.accept("paid for"), Status.SUBMITTING)
    await asyncio.to_thread(postgres.stop)
    stopping = asyncio.create_task(world.stop(engine))
    async with asyncio.timeout(10):
        while (await world.stats())["in_flight"] < 2:
            await asyncio.sleep(0.05)
    await asyncio.to_thread(postgres.start)
    await stopping
    await world.database.close()  # its connections ended with Postgres
    left = await world.read(job)
    assert (left.status, left.unconfirmed) == (Status.IN_QUEUE, 0)
    assert (await world.read(followed)).status is Status.IN_PROGRESS


async def test_a_job_is_not_submitted_again_and_again_when_nobody_knows(world: World) -> None:
    world.start()
    job = await world.ended(await world.accept("sim:lost", on_unconfirmed="resubmit"))
    assert (job.status, job.submits, job.unconfirmed) == (Status.FAILED, 3, 3)
    assert job.error is not None
    assert job.error["code"] == "submission_unconfirmed"


async def test_a_refusal_after_an_unknown_submit_may_still_cost_money(world: World) -> None:
    world.start()
    job = await world.ended(await world.accept("sim:500 sim:reject", on_unconfirmed="resubmit"))
    assert job.error is not None
    assert (job.error["code"], job.error["may_be_charged"]) == ("upstream_rejected", True)


async def test_a_take_over_that_fails_is_made_again(world: World) -> None:
    """A lease that is renewed though nobody works on the job would keep it from its end for ever."""
    job = await world.accept("its worker died")
    async with world.database.driver() as driver:
        await driver.execute(
            """
            UPDATE jobs SET status = 'submitting', submits = 1, token_id = $1, owner = 'dead',
                intent_at = now() - interval '1 h', lease_until = now() - interval '1 s'
            """,
            PLATFORM_TOKEN_ID,
        )
        await driver.execute("ALTER TABLE job_events ADD CONSTRAINT fault CHECK (type <> 'job.failed')")
    world.start()
    async with asyncio.timeout(10):
        while (await world.read(job)).epoch < 2:
            await asyncio.sleep(0.05)
    async with world.database.driver() as driver:
        await driver.execute("ALTER TABLE job_events DROP CONSTRAINT fault")
    ended = await world.ended(job)
    assert (ended.status, ended.unconfirmed) == (Status.FAILED, 1)


async def test_jobs_go_on_without_any_bell(world: World) -> None:
    world.bell = Bell("unix:///nowhere/redis.sock")
    engine = Engine(world.settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"}))
    engine.start()
    job = await world.ended(await world.accept("no bell"))
    assert job.status is Status.COMPLETED
    await engine.stop()


async def test_an_account_in_trouble_ends_no_job_and_is_told_until_it_works_again(world: World) -> None:
    world.start()
    running = await world.until(await world.accept("sim:queue=0 sim:run=2"), Status.IN_PROGRESS)
    await world.fault(tokens=["another"])
    waiting = await world.accept("not yet")
    async with asyncio.timeout(10):
        while (await world.read(waiting)).waiting_for != "upstream_account" or not await world.troubles():
            await asyncio.sleep(0.02)
    await world.accept("nor this")
    assert (await world.stats())["calls"]["submit"] == 2, "while the account is in trouble it is only probed"
    await world.fault(tokens=None)
    assert (await world.ended(running, seconds=30)).status is Status.COMPLETED
    async with asyncio.timeout(10):
        while await world.troubles():
            await asyncio.sleep(0.02)


async def test_a_job_that_was_refused_for_now_is_submitted_again(world: World) -> None:
    world.start()
    job = await world.ended(await world.accept("sim:busy=2"))
    assert (job.status, job.submits, job.unconfirmed) == (Status.COMPLETED, 3, 0)
    assert (await world.types(job)).count("job.put_back") == 2


async def test_an_upstream_that_is_busy_is_not_hammered(world: World) -> None:
    await world.fault(busy=True)
    jobs = [await world.accept(f"busy {number}") for number in range(30)]
    world.start()
    async with asyncio.timeout(10):
        while (await world.read(jobs[0])).waiting_for != "upstream_limit":
            await asyncio.sleep(0.02)
    first_wave = (await world.stats())["calls"]["submit"]
    await world.fault(busy=False)
    await world.told(30, seconds=30)
    # What was on the wire together may be refused together; after that only a few at a time are tried.
    assert (await world.stats())["calls"]["submit"] <= first_wave + 30 + 5


ODD_READS = ["closed", "broken", "html", "error200", "cut", "nameless", "word", "missing", "not_ready"]


@pytest.mark.parametrize("reads", ODD_READS)
async def test_no_read_that_teaches_nothing_ends_a_job_that_the_upstream_would_finish(
    world: World, reads: str
) -> None:
    world.start()
    job = await world.until(await world.accept("sim:queue=0 sim:run=2"), Status.IN_QUEUE, Status.IN_PROGRESS)
    await world.fault(reads=reads)
    seen = (await world.stats())["calls"]["status"]
    async with asyncio.timeout(10):
        while (await world.stats())["calls"]["status"] < seen + 4:
            await asyncio.sleep(0.02)
    assert not (await world.read(job)).has_ended
    await world.fault(reads=None)
    ended = await world.ended(job)
    assert (ended.status, ended.submits) == (Status.COMPLETED, 1)
