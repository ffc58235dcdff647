"""Moves that come together share a statement and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.clock import postgres_time
from service.database import Database
from service.database.driver import Driver
from service.jobs.job import Job
from service.jobs.ledger import Ledger
from service.jobs.lifecycle import CANCEL, COMPLETE, INTEND, START, TAKE, Status
from service.jobs.store import moves, reads
from service.jobs.store.claims import Owner, take_waiting
from service.tenants.models import PLATFORM_TOKEN_ID
from service.tenants.tenant import Tenant

Accepting = Callable[..., Awaitable[Job]]
OWNER = Owner(name="w1", lease=30.0)
OUTPUT = {"images": ["https://a.example/1"]}


class Forgetful(Database):
    """Commits, and then loses the answer, as often as it is told to."""

    losses = 0

    @asynccontextmanager
    async def hot_transaction(self) -> AsyncIterator[Driver]:
        async with super().hot_transaction() as connection:
            yield connection
        self._lose()

    @asynccontextmanager
    async def hot_statement(self) -> AsyncIterator[Driver]:
        async with super().hot_statement() as connection:
            yield connection
        self._lose()

    def _lose(self) -> None:
        if self.losses:
            self.losses -= 1
            raise ConnectionResetError("the answer was lost")


@pytest.fixture
async def forgetful(database_url: str) -> AsyncIterator[Forgetful]:
    pool = Forgetful(database_url, connections=8)
    yield pool
    await pool.close()


def ledger(database: Database, ended: list[Job]) -> Ledger:
    return Ledger(
        database,
        public_url="http://api.example",
        clock=postgres_time,
        on_told=lambda: None,
        on_end=ended.append,
    )


async def claimed(database: Database, accepted: Accepting, count: int) -> list[Job]:
    for _ in range(count):
        await accepted(callback_url="https://hooks.example/1")
    async with database.transaction() as connection:
        claim = await take_waiting(
            connection, OWNER, token_id=PLATFORM_TOKEN_ID, places=100, room=100, now=None
        )
    assert len(claim.jobs) == count
    return list(claim.jobs)


async def running(database: Database, accepted: Accepting, count: int) -> list[Job]:
    jobs = await claimed(database, accepted, count)
    book = ledger(database, [])
    jobs = await together(book.move(job, INTEND, moves.intend.of(job, OWNER)) for job in jobs)
    jobs = await together(
        book.move(job, TAKE, moves.take.of(job, OWNER, upstream_id=str(job.id))) for job in jobs
    )
    return await together(book.move(job, START, moves.start.of(job)) for job in jobs)


async def together(moving: Iterable[Coroutine[Any, Any, Job | None]]) -> list[Job]:
    moved = [job for job in await asyncio.gather(*moving) if job is not None]
    assert moved
    return moved


async def test_each_job_has_its_own_timeline_and_is_told_once(
    database: Database, accepted: Accepting, tenant: Tenant
) -> None:
    jobs = await running(database, accepted, 5)
    ended: list[Job] = []
    book = ledger(database, ended)
    done = await together(
        book.move(job, COMPLETE, moves.complete.of(job, output={"images": [str(job.id)]}, now=None))
        for job in jobs
    )
    assert [job.output for job in done] == [{"images": [str(job.id)]} for job in jobs]
    assert sorted(job.id for job in ended) == sorted(job.id for job in jobs)
    async with database.statement() as connection:
        for job in jobs:
            entries = await reads.timeline(connection, tenant, job.id)
            assert [entry.sequence for entry in entries] == [1, 2, 3, 4, 5]
            assert entries[2].data == {"upstream_request_id": str(job.id)}
    async with database.driver() as driver:
        assert await driver.fetchval("SELECT count(DISTINCT job_id) FROM events") == 5
        assert await driver.fetchval("SELECT count(*) FROM events") == 5


async def test_a_job_that_is_anothers_by_now_is_refused_and_the_others_move(
    database: Database, accepted: Accepting
) -> None:
    jobs = await running(database, accepted, 3)
    async with database.driver() as driver:
        await driver.execute("UPDATE jobs SET epoch = epoch + 1 WHERE id = $1", jobs[1].id)
    book = ledger(database, [])
    first, second, third = await asyncio.gather(
        *(book.move(job, COMPLETE, moves.complete.of(job, output=OUTPUT, now=None)) for job in jobs)
    )
    assert second is None
    assert first is not None
    assert third is not None
    assert {first.status, third.status} == {Status.COMPLETED}


async def test_of_two_who_end_a_job_together_the_second_comes_too_late(
    database: Database, accepted: Accepting, tenant: Tenant
) -> None:
    """A read finds it cancelled while somebody's wish to cancel it is answered."""
    first, second = await running(database, accepted, 2)
    ended: list[Job] = []
    book = ledger(database, ended)
    moved = await asyncio.gather(
        *(
            book.move(job, CANCEL, moves.cancel.of(job, asked=False, now=None))
            for job in (first, second, first)
        )
    )
    assert [job and job.id for job in moved] == [first.id, second.id, None]
    assert [job.id for job in ended] == [first.id, second.id]
    async with database.statement() as connection:
        entries = await reads.timeline(connection, tenant, first.id)
    assert [entry.type for entry in entries].count("job.cancelled") == 1


async def test_a_job_that_cannot_be_written_fails_alone(database: Database, accepted: Accepting) -> None:
    jobs = await running(database, accepted, 3)
    async with database.driver() as driver:
        await driver.execute(
            f"ALTER TABLE job_events ADD CONSTRAINT fault"
            f" CHECK (type <> 'job.completed' OR job_id <> '{jobs[1].id}')"
        )
    ended: list[Job] = []
    book = ledger(database, ended)
    answers = await asyncio.gather(
        *(book.move(job, COMPLETE, moves.complete.of(job, output=OUTPUT, now=None)) for job in jobs),
        return_exceptions=True,
    )
    assert isinstance(answers[1], Exception)
    assert "fault" in str(answers[1])
    assert {job.id for job in ended} == {jobs[0].id, jobs[2].id}


async def test_a_job_whose_row_is_locked_moves_when_it_is_free(
    database: Database, accepted: Accepting
) -> None:
    """The lock lasts longer than anybody waits for one, so all of them are tried again, each alone."""
    jobs = await running(database, accepted, 3)
    ended: list[Job] = []
    book = ledger(database, ended)
    async with database.driver() as holder, holder.transaction():
        await holder.execute("SELECT FROM jobs WHERE id = $1 FOR UPDATE", jobs[1].id)
        moving = asyncio.gather(
            *(book.move(job, COMPLETE, moves.complete.of(job, output=OUTPUT, now=None)) for job in jobs)
        )
        async with asyncio.timeout(15):
            while {job.id for job in ended} != {jobs[0].id, jobs[2].id}:
                await asyncio.sleep(0.02)
    assert all(await moving)
    assert len(ended) == 3


@pytest.mark.parametrize("losses", [1, 3])
async def test_moves_whose_answer_was_lost_are_made_once_and_known(
    losses: int, forgetful: Forgetful, accepted: Accepting, tenant: Tenant
) -> None:
    jobs = await running(forgetful, accepted, 3)
    ended: list[Job] = []
    book = ledger(forgetful, ended)
    forgetful.losses = losses
    done = await together(
        book.move(job, COMPLETE, moves.complete.of(job, output=OUTPUT, now=None)) for job in jobs
    )
    assert {job.status for job in done} == {Status.COMPLETED}
    assert len({job.id for job in ended}) == len(ended) == 3
    async with forgetful.statement() as connection:
        for job in jobs:
            assert len(await reads.timeline(connection, tenant, job.id)) == 5
    async with forgetful.driver() as driver:
        assert await driver.fetchval("SELECT count(*) FROM events") == 3
