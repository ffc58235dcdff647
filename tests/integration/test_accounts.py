"""Accounts: a token that does not work is its own tenant's trouble, and a new one works everywhere soon."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import pytest
from harness.world import KEY, World
from sqlalchemy import text

from service.encryption import Vault
from service.jobs import pressure, submitter
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.tenants import tokens
from service.tenants.tenant import Tenant

VAULT = Vault.from_text(KEY)
LONG = "sim:queue=0 sim:run=60"


@dataclass
class Own:
    """A tenant with a token of its own."""

    tenant: Tenant
    token_id: UUID


async def give(world: World, tenant: Tenant, token: str, *, vault: Vault = VAULT, places: int = 10) -> UUID:
    async with world.database.transaction() as connection:
        return await tokens.put(connection, vault, tenant.id, token=token, max_in_flight=places)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for its account waits for two seconds, not for a quarter of a minute."""
    monkeypatch.setattr(submitter, "ACCOUNT_BACKOFF", 2.0)
    monkeypatch.setattr(pressure, "ACCOUNT_PAUSE", 2.0)


@pytest.fixture
async def blue(world: World, another_tenant: Callable[[str], Awaitable[Tenant]]) -> Own:
    tenant = await another_tenant("blue")
    return Own(tenant, await give(world, tenant, "blue"))


@pytest.fixture
async def red(world: World, another_tenant: Callable[[str], Awaitable[Tenant]]) -> Own:
    tenant = await another_tenant("red")
    return Own(tenant, await give(world, tenant, "red"))


async def waits_for_its_account(world: World, job: Job) -> None:
    async with asyncio.timeout(15):
        while (await world.read(job)).waiting_for != "upstream_account":
            await asyncio.sleep(0.02)


async def in_trouble(world: World) -> set[UUID]:
    return {trouble.token_id for trouble in await world.troubles()}


async def until_in_trouble(world: World, *token_ids: UUID) -> None:
    async with asyncio.timeout(15):
        while await in_trouble(world) != set(token_ids):
            await asyncio.sleep(0.02)


async def test_each_tenants_jobs_run_on_its_own_account(world: World, blue: Own, red: Own) -> None:
    world.start()
    jobs = [await world.accept("x", owner=owner) for owner in (world.tenant, blue.tenant, red.tenant)]
    ended = [await world.ended(job) for job in jobs]
    assert {job.status for job in ended} == {Status.COMPLETED}
    assert [job.token_id for job in ended[1:]] == [blue.token_id, red.token_id]
    assert len({submit["token"] for submit in await world.submits()}) == 3


async def test_a_token_that_is_revoked_makes_only_its_own_tenant_wait_until_there_is_another(
    world: World, blue: Own, red: Own
) -> None:
    world.start()
    running = await world.until(
        await world.accept("sim:queue=0 sim:run=3", owner=red.tenant), Status.IN_PROGRESS
    )
    await world.fault(tokens=["tok", "blue"])
    stopped = await world.accept("x", owner=red.tenant)
    await waits_for_its_account(world, stopped)
    await until_in_trouble(world, red.token_id)
    others = [
        await world.accept(f"{n}", owner=owner) for n in range(3) for owner in (blue.tenant, world.tenant)
    ]
    for job in others:
        assert (await world.ended(job)).status is Status.COMPLETED
    assert not (await world.read(running)).has_ended

    await world.fault(tokens=["tok", "blue", "red, rotated"])
    assert await give(world, red.tenant, "red, rotated") == red.token_id
    for job in (running, stopped):
        assert (await world.ended(job, seconds=40)).status is Status.COMPLETED
    assert await in_trouble(world) == set()


async def test_a_token_that_cannot_be_opened_makes_its_tenant_wait_and_says_so(
    world: World, blue: Own
) -> None:
    await give(world, blue.tenant, "blue", vault=Vault([bytes(32)]))
    world.start()
    job = await world.accept("x", owner=blue.tenant)
    await until_in_trouble(world, blue.token_id)
    other = await world.ended(await world.accept("x"))
    assert other.status is Status.COMPLETED
    waiting = await world.read(job)
    assert (waiting.status, waiting.submits) == (Status.ACCEPTED, 0)
    await give(world, blue.tenant, "blue")
    assert (await world.ended(job)).status is Status.COMPLETED
    await until_in_trouble(world)


async def test_a_token_that_becomes_unreadable_fails_nothing_that_is_under_way(
    world: World, blue: Own
) -> None:
    world.start()
    job = await world.until(
        await world.accept("sim:queue=0 sim:run=5", owner=blue.tenant), Status.IN_PROGRESS
    )
    async with world.database.statement() as connection:
        await connection.execute(text("UPDATE upstream_tokens SET sealed = 'x' WHERE tenant_id IS NOT NULL"))
    await until_in_trouble(world, blue.token_id)
    assert not (await world.read(job)).has_ended
    await give(world, blue.tenant, "blue")
    assert (await world.ended(job, seconds=30)).status is Status.COMPLETED


async def test_a_token_that_is_taken_away_sends_what_waits_to_the_platforms(world: World, blue: Own) -> None:
    await world.fault(tokens=["tok"])
    world.start()
    job = await world.accept("x", owner=blue.tenant)
    await waits_for_its_account(world, job)
    async with world.database.transaction() as connection:
        await tokens.remove(connection, blue.tenant.id)
    ended = await world.ended(job, seconds=40)
    assert (ended.status, ended.token_id) == (Status.COMPLETED, UUID(int=0x70008000000000000001))
    assert await in_trouble(world) == set()


async def test_what_an_account_turned_away_goes_on_at_once_when_that_is_mended(
    world: World, blue: Own, red: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "ACCOUNT_BACKOFF", 600.0)
    monkeypatch.setattr(submitter, "LONGEST_BACKOFF", 600.0)
    await world.fault(tokens=["another"])
    engine = world.start()
    jobs = [await world.accept("x", owner=owner) for owner in (world.tenant, blue.tenant, red.tenant)]
    for job in jobs:
        await waits_for_its_account(world, job)
    await give(world, blue.tenant, "another")
    assert (await world.ended(jobs[1])).status is Status.COMPLETED
    async with world.database.transaction() as connection:
        await tokens.remove(connection, red.tenant.id)
    for job in (jobs[0], jobs[2]):
        assert (await world.read(job)).status is Status.ACCEPTED, "the platform's is as bad as before"

    # A worker with another token, as after a change of the settings.
    await world.stop(engine)
    world.start(upstream_token="another")
    for job in (jobs[0], jobs[2]):
        assert (await world.ended(job)).status is Status.COMPLETED


async def test_one_job_that_is_taken_again_lets_all_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitter, "ACCOUNT_BACKOFF", 600.0)
    monkeypatch.setattr(submitter, "LONGEST_BACKOFF", 600.0)
    await world.fault(tokens=["another"])
    world.start()
    stopped = await world.accept("x")
    await waits_for_its_account(world, stopped)
    await world.fault(tokens=["tok"])
    for job in (await world.accept("y"), stopped):
        assert (await world.ended(job)).status is Status.COMPLETED


async def test_each_account_has_places_of_its_own(world: World, blue: Own) -> None:
    await give(world, blue.tenant, "blue", places=2)
    world.start(upstream_max_in_flight=1)
    jobs = [await world.accept(f"{n} {LONG}", owner=blue.tenant) for n in range(3)]
    shared = await world.until(await world.accept(LONG), Status.IN_PROGRESS)
    for job in jobs[:2]:
        await world.until(job, Status.IN_PROGRESS)
    assert (await world.read(jobs[2])).status is Status.ACCEPTED
    assert shared.token_id != blue.token_id
