"""Jobs of test keys: everything about them is as with live ones, but nothing of it leaves the service."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from harness.world import KEY, PUBLIC, World

from service.encryption import Vault
from service.jobs.lifecycle import Status
from service.tenants.models import SCRIPTED_TOKEN_ID
from service.tenants.tenant import Tenant
from service.webhooks import secrets


@pytest.fixture
async def tester(world: World) -> AsyncIterator[Tenant]:
    """The tenant as one of its test keys reaches it; the upstream is never asked.

    What is told of its jobs is signed with a secret of their own.
    """
    await world.fault(down=True)
    async with world.database.transaction() as connection:
        (own,) = await secrets.own(connection, Vault.from_text(KEY), world.tenant.id, "test")
    world.receiver.trust(own.secret)
    yield Tenant(id=world.tenant.id, mode="test")
    stats = await world.stats()
    assert sum(stats["calls"].values()) == 0
    assert await world.troubles() == []


async def test_a_test_job_goes_all_the_way_and_is_told(world: World, tester: Tenant) -> None:
    world.start()
    job = await world.accept("sim:queue=0.3 sim:run=0.3", owner=tester, callback_events=ALL)
    ended = await world.ended(job)
    assert (ended.status, ended.output) == (
        Status.COMPLETED,
        {"images": [f"{PUBLIC}/test-pictures/1.png"]},
    )
    assert (ended.token_id, ended.cost_usd, ended.submits) == (SCRIPTED_TOKEN_ID, None, 1)
    told = await world.told(3)
    assert [event["type"] for event in sorted(told, key=lambda event: event["data"]["sequence"])] == ALL
    assert {event["data"]["mode"] for event in told} == {"test"}
    assert await world.types(job) == ["job.accepted", "job.submitting", *ALL]


ALL = ["job.submitted", "job.in_progress", "job.completed"]
ENDS: dict[str, tuple[Status, str | None, bool | None]] = {
    "sim:run=0 sim:queue=0": (Status.COMPLETED, None, None),
    "sim:fail sim:run=0": (Status.FAILED, "upstream_failed", True),
    "sim:reject": (Status.FAILED, "upstream_rejected", False),
    "sim:lost": (Status.FAILED, "submission_unconfirmed", True),
    "sim:html sim:run=0": (Status.COMPLETED, None, None),
}


@pytest.mark.parametrize("prompt", ENDS)
async def test_words_in_the_prompt_say_how_it_ends(world: World, tester: Tenant, prompt: str) -> None:
    world.start()
    job = await world.ended(await world.accept(prompt, owner=tester))
    error = job.error or {}
    assert (job.status, error.get("code"), error.get("may_be_charged")) == ENDS[prompt]


async def test_what_is_stuck_expires(world: World, tester: Tenant) -> None:
    world.start()
    job = await world.ended(await world.accept("sim:stuck sim:queue=0", owner=tester, expires_in=2))
    assert job.status is Status.EXPIRED


async def test_a_lost_submit_that_may_be_repeated_is_given_up_after_the_third(
    world: World, tester: Tenant
) -> None:
    world.start()
    job = await world.ended(
        await world.accept("sim:lost", owner=tester, on_unconfirmed="resubmit"), seconds=30
    )
    assert (job.status, job.unconfirmed) == (Status.FAILED, 3)


async def test_it_can_be_cancelled_in_the_queue(world: World, tester: Tenant) -> None:
    world.start()
    job = await world.until(await world.accept("sim:queue=60", owner=tester), Status.IN_QUEUE)
    assert (await world.cancel(job)).status is Status.CANCELLED


async def test_another_worker_knows_where_it_is(world: World, tester: Tenant) -> None:
    first = world.start()
    job = await world.until(await world.accept("sim:queue=0 sim:run=2", owner=tester), Status.IN_PROGRESS)
    await world.stop(first)
    world.start()
    ended = await world.ended(job)
    assert (ended.status, ended.submits, ended.upstream_id) == (Status.COMPLETED, 1, job.upstream_id)


async def test_it_waits_for_no_place_of_the_live_upstream(world: World, tester: Tenant) -> None:
    world.start(upstream_max_in_flight=1)
    jobs = [await world.accept(f"{n} sim:queue=0 sim:run=60", owner=tester) for n in range(5)]
    for job in jobs:
        await world.until(job, Status.IN_PROGRESS)


async def test_its_times_are_not_taken_for_those_of_real_runs(world: World) -> None:
    """The histogram counts one run, where one was live."""
    world.start()
    tester = Tenant(id=world.tenant.id, mode="test")
    await world.ended(await world.accept("sim:queue=0 sim:run=0.1", owner=tester))
    await world.ended(await world.accept("live"))
    async with asyncio.timeout(15):
        while not (counted := await weight(world)):
            await asyncio.sleep(0.05)
    assert counted == pytest.approx(1.0)


async def weight(world: World) -> float:
    async with world.database.driver() as driver:
        return float(await driver.fetchval("SELECT coalesce(sum(weight), 0) FROM run_times"))
