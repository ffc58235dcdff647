"""Claims: never more than there are places, fair between tenants, and no job is left alone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import text

from service.database import Database
from service.jobs.job import Job
from service.jobs.store import claims, line, moves
from service.jobs.store.claims import Holding, Owner
from service.tenants.models import PLATFORM_TOKEN_ID
from service.tenants.tenant import Tenant

Accepting = Callable[..., Awaitable[Job]]
FIRST, SECOND = Owner(name="w1", lease=30.0), Owner(name="w2", lease=30.0)


async def take(
    database: Database, owner: Owner = FIRST, *, places: int = 100, room: int = 100
) -> tuple[Job, ...]:
    async with database.transaction() as connection:
        claim = await claims.take_waiting(
            connection, owner, token_id=PLATFORM_TOKEN_ID, places=places, room=room, now=None
        )
    return claim.jobs


async def take_over(
    database: Database, owner: Owner = SECOND, *, also_expired: bool = True, unanswered_after: float = 65
) -> tuple[Job, ...]:
    async with database.statement() as connection:
        claim = await claims.take_over(
            connection,
            owner,
            room=100,
            unanswered_after=unanswered_after,
            also_expired=also_expired,
            now=None,
        )
    return claim.jobs


async def send(database: Database, job: Job, owner: Owner = FIRST) -> Job:
    async with database.statement() as connection:
        intended = await moves.intend(connection, job, owner)
        assert intended is not None
        taken = await moves.take(connection, intended, owner, upstream_id=f"up-{job.id}")
    assert taken is not None
    return taken


async def let_leases_run_out(database: Database) -> None:
    async with database.driver() as driver:
        await driver.execute(
            "UPDATE jobs SET lease_until = clock_timestamp() - interval '1 ms' WHERE owner IS NOT NULL"
        )


async def test_a_claim_takes_the_highest_priority_first_and_then_the_oldest(
    database: Database, accepted: Accepting
) -> None:
    low, first, second, high = [await accepted(priority=p) for p in ("low", "normal", "normal", "high")]
    taken = [(await take(database, room=1))[0].id for _ in range(4)]
    assert taken == [high.id, first.id, second.id, low.id]


async def test_many_workers_at_once_never_hold_more_than_the_places_there_are(
    database: Database, accepted: Accepting
) -> None:
    """Counted in the statement that takes the lock, they were older than the lock and let too many in."""
    for _ in range(60):
        await accepted()
    owners = [Owner(name=f"w{n}", lease=30.0) for n in range(8)]
    for _ in range(3):
        await asyncio.gather(*(take(database, owner, places=25, room=7) for owner in owners))
    assert await count(database, "lease_until > clock_timestamp()") == 25


async def test_one_job_is_claimed_by_one_worker(database: Database, accepted: Accepting) -> None:
    for _ in range(20):
        await accepted()
    owners = [Owner(name=f"w{n}", lease=30.0) for n in range(8)]
    taken = await asyncio.gather(*(take(database, owner) for owner in owners))
    ids = [job.id for jobs in taken for job in jobs]
    assert len(ids) == len(set(ids)) == 20


async def test_a_place_is_held_until_the_job_ends(database: Database, accepted: Accepting) -> None:
    for _ in range(3):
        await accepted()
    first, second = await take(database, places=2)
    assert await take(database, places=2) == ()
    sent = await send(database, first)
    await let_leases_run_out(database)
    # What was sent still holds its place without a lease; what was only claimed does not.
    again = await take(database, places=2)
    assert [job.id for job in again] == [second.id]
    async with database.statement() as connection:
        await moves.complete(connection, sent, output={"images": ["https://a/1"]}, now=None)
    assert len(await take(database, places=2)) == 1


async def test_tenants_take_turns_whatever_their_backlog(
    database: Database,
    accepted: Accepting,
    tenant: Tenant,
    another_tenant: Callable[[str], Awaitable[Tenant]],
) -> None:
    small = await another_tenant("small")
    for _ in range(30):
        await accepted(owner=tenant)
    for _ in range(2):
        await accepted(owner=small)
    taken = await take(database, room=4)
    assert sorted(job.tenant_id for job in taken) == sorted([tenant.id] * 2 + [small.id] * 2)


async def test_a_weight_is_a_share_of_the_places(
    database: Database,
    accepted: Accepting,
    tenant: Tenant,
    another_tenant: Callable[[str], Awaitable[Tenant]],
) -> None:
    heavy = await another_tenant("heavy")
    async with database.driver() as driver:
        await driver.execute("UPDATE tenants SET weight = 3 WHERE name = 'heavy'")
    for _ in range(12):
        await accepted(owner=tenant)
        await accepted(owner=heavy)
    taken = [job.tenant_id for _ in range(4) for job in await take(database, room=2)]
    assert (taken.count(heavy.id), taken.count(tenant.id)) == (6, 2)


async def test_a_tenant_stays_within_its_own_limit(
    database: Database,
    accepted: Accepting,
    tenant: Tenant,
    another_tenant: Callable[[str], Awaitable[Tenant]],
) -> None:
    limited = await another_tenant("limited")
    async with database.driver() as driver:
        await driver.execute("UPDATE tenants SET max_in_flight = 2 WHERE name = 'limited'")
    for _ in range(5):
        await accepted(owner=limited)
        await accepted(owner=tenant)
    taken = [job.tenant_id for _ in range(3) for job in await take(database)]
    assert (taken.count(limited.id), taken.count(tenant.id)) == (2, 5)


async def test_what_was_put_back_waits_for_its_time(database: Database, accepted: Accepting) -> None:
    await accepted()
    (job,) = await take(database)
    async with database.statement() as connection:
        intended = await moves.intend(connection, job, FIRST)
        assert intended is not None
        back = await moves.put_back(
            connection,
            intended,
            reason="429",
            waiting_for="upstream_limit",
            wait=60,
            unconfirmed=False,
            now=None,
        )
    assert back is not None
    assert (back.waiting_for, back.token_id, back.refusals) == ("upstream_limit", None, 1)
    for later, expected in ((-1, []), (1, [job.id])):
        now = back.due_at + timedelta(milliseconds=later)
        async with database.transaction() as connection:
            await line.let_in(connection, most=10, now=now)
            claim = await claims.take_waiting(
                connection, FIRST, token_id=PLATFORM_TOKEN_ID, places=1, room=1, now=now
            )
        assert [taken.id for taken in claim.jobs] == expected


async def test_a_dead_workers_jobs_are_taken_over_with_a_new_epoch(
    database: Database, accepted: Accepting
) -> None:
    await accepted()
    job = await send(database, (await take(database))[0])
    assert await take_over(database) == ()
    await let_leases_run_out(database)
    assert await take_over(database, also_expired=False) == ()
    (taken,) = await take_over(database)
    assert (taken.id, taken.owner, taken.epoch) == (job.id, SECOND.name, job.epoch + 1)


async def test_a_job_that_was_given_back_is_taken_over_without_waiting(
    database: Database, accepted: Accepting
) -> None:
    await accepted()
    job = await send(database, (await take(database))[0])
    async with database.statement() as connection:
        await claims.give_back(connection, FIRST, [Holding(job.id, job.epoch)])
    (taken,) = await take_over(database, also_expired=False)
    assert taken.id == job.id


async def test_a_submit_on_the_wire_is_left_alone_until_its_answer_cannot_come_any_more(
    database: Database, accepted: Accepting
) -> None:
    await accepted()
    (job,) = await take(database)
    async with database.statement() as connection:
        intended = await moves.intend(connection, job, FIRST)
        assert intended is not None
        await claims.give_back(connection, FIRST, [Holding(intended.id, intended.epoch)])
    await let_leases_run_out(database)
    assert await take_over(database) == ()
    (taken,) = await take_over(database, unanswered_after=0)
    assert taken.id == job.id


async def test_a_renewal_answers_what_is_still_held_and_notes_places_in_the_queue(
    database: Database, accepted: Accepting
) -> None:
    for _ in range(3):
        await accepted()
    kept, lost, ended = [await send(database, job) for job in await take(database)]
    async with database.driver() as driver:
        await driver.execute("UPDATE jobs SET epoch = epoch + 1 WHERE id = $1", lost.id)
    async with database.statement() as connection:
        await moves.cancel(connection, ended, asked=True, now=None)
        holdings = [Holding(job.id, job.epoch, position=7) for job in (kept, lost, ended)]
        assert await claims.renew(connection, FIRST, holdings) == {kept.id}
    async with database.driver() as driver:
        positions = await driver.fetch("SELECT id, queue_position FROM jobs WHERE queue_position IS NOT NULL")
    assert [tuple(row) for row in positions] == [(kept.id, 7)]


async def test_a_job_with_a_wish_to_cancel_is_not_claimed(database: Database, accepted: Accepting) -> None:
    await accepted()
    async with database.driver() as driver:
        await driver.execute(
            "UPDATE jobs SET cancel_requested_at = now(), cancel_outcome = 'pending', cancel_due_at = now()"
        )
    assert await take(database) == ()


async def count(database: Database, condition: str) -> int:
    async with database.driver() as driver:
        return int(await driver.fetchval(f"SELECT count(*) FROM jobs WHERE {condition}"))


async def test_a_renewal_does_not_revive_a_claim_that_holds_no_place_any_more(
    database: Database, accepted: Accepting
) -> None:
    """Its place may be another job's by now; sending it all the same would exceed the limit."""
    await accepted()
    (job,) = await take(database)
    await let_leases_run_out(database)
    async with database.statement() as connection:
        assert await claims.renew(connection, FIRST, [Holding(job.id, job.epoch)]) == set()
        assert await moves.intend(connection, job, FIRST) is None


async def test_a_row_that_is_locked_costs_no_other_job_its_lease(
    database: Database, accepted: Accepting
) -> None:
    for _ in range(2):
        await accepted()
    locked, free = [await send(database, job) for job in await take(database)]
    await let_leases_run_out(database)
    async with database.transaction() as other:
        await other.execute(text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": locked.id})
        async with database.statement() as connection:
            holdings = [Holding(job.id, job.epoch) for job in (locked, free)]
            assert await claims.renew(connection, FIRST, holdings) == {locked.id, free.id}
    assert await count(database, "lease_until > clock_timestamp()") == 1


async def test_what_a_frozen_process_has_locked_is_freed_by_postgres(database: Database) -> None:
    async with database.statement() as connection:
        idle = await connection.scalar(text("SHOW idle_in_transaction_session_timeout"))
        wait = await connection.scalar(text("SHOW lock_timeout"))
    assert (idle, wait) == ("5s", "3s")
