"""Lanes in Postgres: caps over all processes, breakers, lines, and what a dead receiver does to others."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from harness.deliveries import LANE_SLOTS, RULES, Clock, Hooks, Senders, listening

from service.database import Database
from service.tenants.tenant import Tenant
from service.webhooks.schedule import Answered, TimedOut, Unreachable
from service.webhooks.store import sweep
from service.webhooks.store.census import census

A, B = "https://a.example", "https://b.example"


async def test_several_senders_together_keep_the_cap_of_a_lane(senders: Senders) -> None:
    for _ in range(40):
        await senders.tell(A)
    claims = await asyncio.gather(*(senders.claim(owner=f"worker {number}") for number in range(8)))
    assert sum(map(len, claims)) == LANE_SLOTS
    assert not await senders.claim()


async def test_what_is_not_taken_stands_in_line_and_moves_up_oldest_first(
    senders: Senders, clock: Clock
) -> None:
    events = []
    for _ in range(LANE_SLOTS + 3):
        events.append(await senders.tell(A))
        clock.move(0.001)
    first = await senders.claim()
    assert [row["in_line"] for row in await senders.deliveries()] == [False] * LANE_SLOTS + [True] * 3
    turn = await senders.end(first[:2], with_=Answered(204), room=9)
    assert {one.event_id for one in turn.claimed} == {event.id for event in events[4:6]}
    (lane,) = await senders.lanes()
    assert lane["ready_at"] == clock.now + timedelta(seconds=1)
    await senders.end([*first[2:], *turn.claimed], with_=Answered(204))
    (last,) = await senders.claim()
    assert last.event_id == events[6].id
    # All is well and nobody waits: there is nothing to know of the lane.
    assert await senders.lanes() == []


async def test_a_lane_that_is_well_has_no_row(senders: Senders) -> None:
    await senders.tell(A)
    claimed = await senders.claim()
    await senders.end(claimed, with_=Answered(204))
    assert await senders.lanes() == []


async def test_a_tenant_gets_a_quarter_of_a_process_and_others_the_rest(
    senders: Senders, another_tenant: Callable[[str], Awaitable[Tenant]]
) -> None:
    for number in range(RULES.tenant_slots + 10):
        await senders.tell(f"https://{number}.example")
    other = await another_tenant("umbrella")
    await senders.tell(B, tenant=other)
    claimed = await senders.claim(room=RULES.slots)
    assert Counter(one.tenant_id == other.id for one in claimed) == {False: RULES.tenant_slots, True: 1}
    # In another process there is room for it.
    assert len(await senders.claim(owner="another", room=RULES.slots)) == 10


async def test_five_failures_in_a_row_open_the_breaker_for_a_time_that_doubles(
    senders: Senders, clock: Clock
) -> None:
    for _ in range(20):
        await senders.tell(A)
    await senders.end(await senders.claim(), with_=Unreachable())
    (lane,) = await senders.lanes()
    assert (lane["failures"], lane["open_until"]) == (4, None)
    opened = await senders.end(await senders.claim(), with_=Unreachable())
    assert [(one.failures, one.openings) for one in opened.opened] == [(8, 1)]
    for pause in (30, 60, 120, 240, 480, 960, 1800, 1800):
        assert not await senders.claim()
        clock.move(pause - 1)
        assert not await senders.claim()
        clock.move(1)
        (probe,) = await senders.claim()
        assert not await senders.claim()
        turn = await senders.end([probe], with_=TimedOut())
        assert [one.open_until for one in turn.opened] == [
            clock.now + timedelta(seconds=min(2 * pause, 1800))
        ]


async def test_a_failure_of_what_had_begun_before_opens_the_breaker_no_further(
    senders: Senders, clock: Clock
) -> None:
    for _ in range(6):
        await senders.tell(A)
    claimed = list(await senders.claim())
    claimed += (await senders.end(claimed[:2], with_=Unreachable(), room=9)).claimed
    await senders.end(claimed[2:5], with_=Unreachable())
    (before,) = await senders.lanes()
    clock.move(9)
    turn = await senders.end(claimed[5:], with_=Unreachable())
    (after,) = await senders.lanes()
    assert (after["open_until"], after["openings"]) == (before["open_until"], 1)
    assert turn.opened == []


async def test_a_receiver_that_is_back_is_not_run_over(senders: Senders, clock: Clock) -> None:
    for _ in range(30):
        await senders.tell(A)
    for _ in range(2):
        await senders.end(await senders.claim(), with_=Unreachable())
    clock.move(30)
    taken = list(await senders.claim())
    at_once = [len(taken)]
    for _ in range(3):
        turn = await senders.end(taken, with_=Answered(204), room=100)
        taken = list(turn.claimed)
        at_once.append(len(taken))
    assert at_once == [1, 2, 4, 4]
    (lane,) = await senders.lanes()
    assert (lane["failures"], lane["openings"], lane["open_until"], lane["places"]) == (0, 0, None, None)


async def test_a_success_between_failures_keeps_the_breaker_closed(senders: Senders) -> None:
    for outcome in (Unreachable(), Answered(204), Unreachable()):
        for _ in range(LANE_SLOTS):
            await senders.tell(A)
        turn = await senders.end(await senders.claim(), with_=outcome)
        assert turn.opened == []


async def test_a_probe_whose_sender_died_is_made_by_another(
    senders: Senders, clock: Clock, database: Database
) -> None:
    for _ in range(20):
        await senders.tell(A)
    for _ in range(2):
        await senders.end(await senders.claim(), with_=Unreachable())
    clock.move(30)
    (probe,) = await senders.claim(lease=0)
    async with database.statement() as connection:
        assert await sweep.free_lost(connection) == 1
    clock.move(1)
    (again,) = await senders.claim()
    assert (again.id, again.attempt) == (probe.id, probe.attempt + 1)


async def test_time_behind_a_breaker_uses_up_no_attempts_only_the_four_days(
    senders: Senders, clock: Clock, database: Database
) -> None:
    for _ in range(12):
        await senders.tell(A)
    for _ in range(2):
        await senders.end(await senders.claim(), with_=Unreachable())
    waiting = [row for row in await senders.deliveries() if row["in_line"]]
    assert [row["attempts"] for row in waiting] == [0] * 4
    clock.move(4 * 86400 - 1)
    async with database.hot_statement() as connection:
        assert await sweep.exhaust(connection, now=clock()) == 0
        clock.move(1)
        assert await sweep.exhaust(connection, now=clock()) == 4
    ended = [row for row in await senders.deliveries() if row["status"] == "exhausted"]
    assert [(row["reason"], row["attempts"], row["finished_at"]) for row in ended] == [
        ("age", 0, clock.now)
    ] * 4


async def test_one_lanes_breaker_is_nobody_elses(
    senders: Senders, another_tenant: Callable[[str], Awaitable[Tenant]]
) -> None:
    other = await another_tenant("umbrella")
    for _ in range(9):
        await senders.tell(A)
    for _ in range(2):
        await senders.end(await senders.claim(), with_=Unreachable())
    await senders.tell(A, tenant=other)
    await senders.tell(B)
    assert Counter(one.lane for one in await senders.claim()) == {
        (other.id, A): 1,
        (next(row["tenant_id"] for row in await senders.lanes()), B): 1,
    }


async def test_what_waits_for_a_dead_receiver_is_looked_at_once(
    senders: Senders, database: Database, clock: Clock
) -> None:
    await senders.tell(A)
    async with database.driver() as driver:
        await driver.execute(
            """
            WITH more AS (
                INSERT INTO events (id, tenant_id, mode, job_id, type, is_end, sequence, body)
                SELECT uuidv7(), tenant_id, mode, uuidv7(), type, is_end, sequence, body
                FROM events, generate_series(1, 3000) RETURNING id, tenant_id, job_id
            )
            INSERT INTO webhook_deliveries (id, tenant_id, event_id, job_id, url, origin, due_at)
            SELECT uuidv7(), tenant_id, id, job_id, $1, $1, $2 FROM more
            """,
            A,
            clock.now,
        )
    turns = [await senders.end([], with_=Answered(204), room=200) for _ in range(8)]
    assert [turn.saw_all for turn in turns] == [False] * 7 + [True]
    assert [len(turn.claimed) for turn in turns] == [LANE_SLOTS] + [0] * 7
    fresh = await senders.tell(B)
    turn = await senders.end([], with_=Answered(204), room=200)
    assert [one.event_id for one in turn.claimed] == [fresh.id]


async def test_a_line_that_no_claim_is_led_to_is_found(
    senders: Senders, database: Database, clock: Clock
) -> None:
    await senders.tell(A)
    await senders.execute("UPDATE webhook_deliveries SET in_line = TRUE")
    assert not await senders.claim()
    async with database.statement() as connection:
        assert await sweep.find_strays(connection, now=clock()) == 1
        assert await sweep.find_strays(connection, now=clock()) == 0
    assert len(await senders.claim()) == 1


async def test_what_waits_and_who_is_left_alone_is_counted(
    senders: Senders, database: Database, clock: Clock
) -> None:
    await senders.endpoint(B)
    for _ in range(9):
        await senders.tell(A)
    for _ in range(2):
        await senders.end([one for one in await senders.claim() if one.url == A], with_=Unreachable())
    await senders.execute(
        "UPDATE webhook_deliveries SET status = 'held' WHERE url = 'https://b.example' AND in_line"
    )
    async with database.statement() as connection:
        found = await census(connection, now=clock())
    assert (found.pending, found.held, found.lanes_open) == (9, 5, 1)


async def test_the_row_of_a_lane_that_is_of_no_use_any_more_goes(
    senders: Senders, database: Database, clock: Clock
) -> None:
    await senders.tell(A)
    await senders.end(await senders.claim(), with_=Answered(410))
    assert len(await senders.lanes()) == 1
    for seconds, left in ((3600, 1), (1, 0)):
        clock.move(seconds)
        async with database.statement() as connection:
            await sweep.forget_lanes(connection, now=clock())
        assert len(await senders.lanes()) == left


async def test_a_receiver_that_was_down_for_an_hour_gets_everything_once_in_the_order_of_the_schedule(
    senders: Senders, hooks: Hooks, clock: Clock
) -> None:
    senders.rules = replace(RULES, waits=(0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))
    events: list[UUID] = []
    # An event every ten minutes, and the sender looks every 10 s.
    for second in range(0, 3600, 10):
        if second % 600 == 0:
            events.append((await senders.tell(hooks.url)).id)
        claimed = await senders.claim()
        await senders.end(claimed, with_=Answered(500))
        clock.move(10)
    expected = [row["event_id"] for row in sorted(await senders.deliveries(), key=lambda row: row["due_at"])]
    async with senders.running() as sender:
        for _ in range(400):
            clock.move(10)
            sender.wake()
            if hooks.posts.qsize() == len(events):
                break
            await asyncio.sleep(0.06)
        posts = await hooks.next_ones(len(events))
    assert sorted(UUID(post.headers["webhook-id"]) for post in posts) == sorted(events)
    assert [UUID(post.headers["webhook-id"]) for post in posts] == expected
    assert {row["status"] for row in await senders.deliveries()} == {"delivered"}


async def test_the_healthy_are_served_while_a_receiver_hangs_and_another_is_gone(
    senders: Senders, hooks: Hooks
) -> None:
    released = asyncio.Event()

    async def silence(_: object) -> None:
        await released.wait()

    async with listening() as hanging:
        hanging.answer = silence  # type: ignore[assignment]
        for _ in range(30):
            await senders.tell(hanging.url)
            await senders.tell("https://127.0.0.1:9/gone")
        healthy = [await senders.tell(hooks.url) for _ in range(30)]
        async with senders.running():
            posts = await hooks.next_ones(30)
            assert hanging.posts.qsize() == LANE_SLOTS
            released.set()
    assert {post.headers["webhook-id"] for post in posts} == {str(event.id) for event in healthy}
