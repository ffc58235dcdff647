"""The SQL keeps to the state machine, whoever writes and however late."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import pytest

from service.database import Connection, Database
from service.jobs import ends
from service.jobs.job import Job
from service.jobs.lifecycle import (
    CANCEL,
    COMPLETE,
    ENDS,
    EXPIRE,
    FAIL,
    INTEND,
    MOVES,
    PUT_BACK,
    START,
    TAKE,
    Move,
    Status,
)
from service.jobs.store import line, moves, reads
from service.jobs.store.claims import Claim, Owner, take_waiting
from service.tenants.models import PLATFORM_TOKEN_ID
from service.tenants.tenant import Tenant
from service.upstream.outcomes import Failed

OWNER = Owner(name="w1", lease=30.0)
FAILURE = ends.failed(Failed("no"))

Write = Callable[[Connection, Job], Awaitable[Job | None]]

WRITES: dict[Move, Write] = {
    INTEND: lambda c, job: moves.intend(c, job, OWNER),
    PUT_BACK: lambda c, job: moves.put_back(
        c, job, reason="busy", waiting_for="upstream_limit", wait=5, unconfirmed=False, now=None
    ),
    TAKE: lambda c, job: moves.take(c, job, OWNER, upstream_id="up-1"),
    START: moves.start,
    COMPLETE: lambda c, job: moves.complete(c, job, output={"images": ["https://a/1"]}, now=None),
    FAIL: lambda c, job: moves.fail(c, job, error=FAILURE, now=None),
    CANCEL: lambda c, job: moves.cancel(c, job, asked=True, now=None),
    EXPIRE: lambda c, job: moves.expire(
        c, job, error=ends.expired(job, cancelled=False), cancelled=False, now=None
    ),
}
WAYS: dict[Status, tuple[Move, ...]] = {
    Status.ACCEPTED: (),
    Status.SUBMITTING: (INTEND,),
    Status.IN_QUEUE: (INTEND, TAKE),
    Status.IN_PROGRESS: (INTEND, TAKE, START),
    Status.COMPLETED: (INTEND, TAKE, START, COMPLETE),
    Status.FAILED: (INTEND, TAKE, START, FAIL),
    Status.CANCELLED: (INTEND, TAKE, CANCEL),
    Status.EXPIRED: (INTEND, TAKE, START, EXPIRE),
}


async def claim(database: Database, owner: Owner = OWNER) -> Claim:
    async with database.transaction() as connection:
        return await take_waiting(
            connection, owner, token_id=PLATFORM_TOKEN_ID, places=100, room=100, now=None
        )


async def made(database: Database, job: Job, move: Move) -> Job | None:
    async with database.statement() as connection:
        return await WRITES[move](connection, job)


async def brought_to(database: Database, status: Status) -> Job:
    (job,) = (await claim(database)).jobs
    for move in WAYS[status]:
        moved = await made(database, job, move)
        assert moved is not None
        job = moved
    assert job.status is status
    return job


@pytest.mark.parametrize("status", list(Status))
async def test_a_move_is_made_from_the_states_it_leaves_and_from_no_other(
    status: Status, database: Database, accepted: Callable[..., Awaitable[Job]], tenant: Tenant
) -> None:
    for move in MOVES:
        await accepted()
        job = await brought_to(database, status)
        moved = await made(database, job, move)
        entries = await timeline(database, tenant, job.id)
        if status in move.leaves:
            assert moved is not None
            assert (moved.status, moved.sequence) == (move.reaches, job.sequence + 1)
            assert entries[-1] == (moved.sequence, move.event)
            assert (moved.owner is None) == (move.reaches in ENDS or move is PUT_BACK)
        else:
            assert moved is None
            assert entries[-1][0] == job.sequence
        assert [number for number, _ in entries] == list(range(1, len(entries) + 1))
        await set_aside(database, job)


async def test_an_owner_that_was_replaced_can_write_nothing_by_its_epoch(
    database: Database, accepted: Callable[..., Awaitable[Job]]
) -> None:
    await accepted()
    job = await brought_to(database, Status.IN_PROGRESS)
    async with database.driver() as driver:
        await driver.execute("UPDATE jobs SET epoch = epoch + 1, owner = 'w2'")
    for move in (COMPLETE, FAIL, EXPIRE):
        assert await made(database, job, move) is None


async def test_an_intent_is_refused_when_the_lease_ran_out(
    database: Database, accepted: Callable[..., Awaitable[Job]]
) -> None:
    """A claimed job whose lease ran out holds no place, so sending it could exceed the limit."""
    await accepted()
    (job,) = (await claim(database)).jobs
    async with database.driver() as driver:
        await driver.execute("UPDATE jobs SET lease_until = clock_timestamp() - interval '1 ms'")
    assert await made(database, job, INTEND) is None


async def test_an_id_that_was_paid_for_is_kept_whoever_owns_the_job_by_then(
    database: Database, accepted: Callable[..., Awaitable[Job]]
) -> None:
    await accepted()
    job = await brought_to(database, Status.SUBMITTING)
    async with database.driver() as driver:
        await driver.execute("UPDATE jobs SET epoch = epoch + 1, owner = 'w2'")
    taken = await made(database, job, TAKE)
    assert taken is not None
    assert (taken.upstream_id, taken.epoch, taken.owner) == ("up-1", job.epoch + 1, "w2")


async def test_the_answer_to_an_earlier_submit_is_not_taken_for_the_answer_to_a_later_one(
    database: Database, accepted: Callable[..., Awaitable[Job]]
) -> None:
    await accepted()
    first = await brought_to(database, Status.SUBMITTING)
    write = partial(moves.put_back, reason="lost", waiting_for="backoff", wait=0, unconfirmed=True, now=None)
    async with database.statement() as connection:
        await write(connection, first)
        await line.let_in(connection, most=1, now=None)
    second = await brought_to(database, Status.SUBMITTING)
    assert (second.submits, second.unconfirmed) == (2, 1)
    assert await made(database, first, TAKE) is None
    assert await made(database, second, TAKE) is not None


async def timeline(database: Database, tenant: Tenant, job_id: UUID) -> list[tuple[int, str]]:
    async with database.statement() as connection:
        entries = await reads.timeline(connection, tenant, job_id)
    return [(entry.sequence, entry.type) for entry in entries]


async def set_aside(database: Database, job: Job) -> None:
    """Make the job invisible for the next claim."""
    async with database.driver() as driver:
        await driver.execute(
            "UPDATE jobs SET due_at = now() + interval '1 h', owner = NULL, lease_until = NULL"
        )
