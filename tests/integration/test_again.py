"""What endpoints and callers ask of deliveries: hold, release, withdraw, redeliver, replay."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from harness.deliveries import Clock, Hooks, Senders

from service.database import Connection, Database
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks.forms import USUALLY_REPLAYED
from service.webhooks.schedule import Answered, Unreachable
from service.webhooks.store import again, erasure, sweep

URL = "https://receiver.example/hook"
USUAL = frozenset(USUALLY_REPLAYED)


@pytest.fixture
async def endpoint(senders: Senders) -> UUID:
    return await senders.endpoint(URL)


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with database.statement() as one:
        yield one


async def statuses(senders: Senders) -> list[str]:
    return [row["status"] for row in await senders.deliveries()]


async def test_what_is_held_waits_until_it_is_released_and_goes_on_where_it_stopped(
    senders: Senders, endpoint: UUID, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    await senders.tell(None)
    await senders.end(await senders.claim(), with_=Unreachable())
    assert await again.hold(connection, tenant, endpoint) == 1
    clock.move(60)
    assert not await senders.claim()
    assert await again.release(connection, tenant, endpoint, now=clock()) == 1
    (claimed,) = await senders.claim()
    assert (claimed.attempt, claimed.past_attempts, claimed.origin) == (2, 0, f"replay:endpoint:{endpoint}")


async def test_what_is_held_for_too_long_is_given_up(
    senders: Senders, endpoint: UUID, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    await senders.tell(None)
    await again.hold(connection, tenant, endpoint)
    clock.move(4 * 86400)
    assert await sweep.exhaust(connection, now=clock()) == 1
    delivery = await senders.delivery()
    assert (delivery["status"], delivery["reason"]) == ("exhausted", "age")


async def test_what_was_to_go_to_an_endpoint_that_is_removed_is_cancelled_on_the_wire_too(
    senders: Senders, endpoint: UUID, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    for _ in range(6):
        await senders.tell("https://elsewhere.example")
    claimed = [one for one in await senders.claim() if one.endpoint_id]
    assert await again.withdraw(connection, tenant, endpoint, now=clock()) == 6
    turn = await senders.end(claimed, with_=Answered(204))
    assert turn.settled == set()
    assert Counter(row["status"] for row in await senders.deliveries() if row["endpoint_id"]) == {
        "cancelled": 6
    }


async def test_a_delivery_that_is_asked_for_again_begins_its_schedule_anew_with_the_next_number(
    senders: Senders, endpoint: UUID, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    await senders.tell(None)
    for wait in (0, 5, 300):
        clock.move(wait)
        await senders.end(await senders.claim(), with_=Unreachable())
    delivery = await senders.delivery()
    assert (delivery["status"], delivery["reason"]) == ("exhausted", "attempts")
    clock.move(10 * 86400)
    assert await again.redeliver(connection, tenant, delivery["id"], now=clock())
    (claimed,) = await senders.claim()
    assert claimed.attempt == 4
    await senders.end([claimed], with_=Unreachable())
    delivery = await senders.delivery()
    assert (delivery["status"], delivery["due_at"]) == ("pending", clock.now + timedelta(seconds=5))
    assert [row["number"] for row in await senders.attempts()] == [1, 2, 3, 4]


async def test_the_same_bytes_and_id_are_sent_again(
    senders: Senders, hooks: Hooks, database: Database, tenant: Tenant, clock: Clock
) -> None:
    await senders.tell(hooks.url)
    async with senders.running():
        first = await hooks.next()
    delivery = await senders.delivery()
    clock.move(60)
    async with database.transaction() as connection:
        assert await again.redeliver(connection, tenant, delivery["id"], now=clock())
    async with senders.running():
        second = await hooks.next()
    assert (second.body, second.number) == (first.body, (first.headers["webhook-id"], "2"))
    assert second.headers["webhook-timestamp"] != first.headers["webhook-timestamp"]


async def test_what_cannot_be_sent_again_is_not(
    senders: Senders,
    connection: Connection,
    tenant: Tenant,
    clock: Clock,
    another_tenant: Callable[[str], Awaitable[Tenant]],
) -> None:
    endpoint = await senders.endpoint(URL)
    event = await senders.tell(None)
    delivery = await senders.delivery()
    for stranger in (await another_tenant("umbrella"), Tenant(id=tenant.id, mode="test")):
        assert not await again.redeliver(connection, stranger, delivery["id"], now=clock())
        assert await replay(connection, stranger, endpoint, clock) == 0
    assert not await again.redeliver(connection, tenant, uuid7(), now=clock())
    await senders.claim()
    assert not await again.redeliver(connection, tenant, delivery["id"], now=clock()), "it is being made"
    await erasure.erase(connection, tenant, event.job_id, now=clock())
    assert not await again.redeliver(connection, tenant, delivery["id"], now=clock()), "it was erased"
    assert await replay(connection, tenant, endpoint, clock) == 0


async def replay(connection: Connection, tenant: Tenant, endpoint: UUID, clock: Clock, **asked: Any) -> int:
    usual = {"since": clock.now - timedelta(days=1), "until": None, "statuses": USUAL}
    left: again.Stretch | None = again.Stretch(**(usual | asked))
    replayed = 0
    while left:
        count, left = await again.replay(connection, tenant, endpoint, left, now=clock())
        replayed += count
    return replayed


async def test_a_replay_skips_what_was_delivered_unless_it_is_asked_for(
    senders: Senders, endpoint: UUID, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    for outcome in (Answered(204), Answered(410)):
        await senders.tell(None)
        await senders.end(await senders.claim(), with_=outcome)
    await senders.enable(endpoint)
    await senders.execute(
        "UPDATE webhook_deliveries SET status = 'exhausted', in_line = FALSE, finished_at = now()"
        " WHERE status = 'pending'"
    )
    assert await statuses(senders) == ["delivered", "exhausted"]
    assert await replay(connection, tenant, endpoint, clock, statuses=frozenset({"held"})) == 0
    assert await replay(connection, tenant, endpoint, clock) == 1
    assert await statuses(senders) == ["delivered", "pending"]
    either = frozenset({"delivered", "pending"})
    assert await replay(connection, tenant, endpoint, clock, statuses=either) == 1


async def test_a_replay_goes_from_since_until_and_takes_the_oldest_first(
    senders: Senders, endpoint: UUID, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    await senders.execute("UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'asked'")
    begun = clock.now
    events = []
    for _ in range(5):
        events.append((await senders.tell(None)).id)
        clock.move(60)
    await senders.enable(endpoint)
    window = {"since": begun + timedelta(seconds=60), "until": begun + timedelta(seconds=240)}
    assert await replay(connection, tenant, endpoint, clock, **window, limit=2) == 2
    rows = sorted(await senders.deliveries(), key=lambda row: row["due_at"])
    assert [row["event_id"] for row in rows] == events[1:3]
    assert await replay(connection, tenant, endpoint, clock, **window) == 1


MANY = f"""
    INSERT INTO events (id, tenant_id, mode, job_id, type, is_end, sequence, body, created_at)
    SELECT uuidv7(), tenant_id, 'live', uuidv7(), 'job.failed', TRUE, 5, '', now() - interval '1 hour'
    FROM webhook_endpoints, generate_series(1, {again.STRETCH})
"""


async def test_what_is_missed_is_found_in_steps_behind_however_many_others(
    senders: Senders, endpoint: UUID, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    await senders.execute(MANY)
    await senders.execute("UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'asked'")
    for _ in range(3):
        await senders.tell(None)
    await senders.enable(endpoint)
    whole = again.Stretch(since=clock.now - timedelta(days=1), until=None, statuses=USUAL, limit=2)
    count, left = await again.replay(connection, tenant, endpoint, whole, now=clock())
    assert (count, await statuses(senders)) == (0, [])
    assert left is not None
    assert await again.replay(connection, tenant, endpoint, left, now=clock()) == (2, None)
    assert await replay(connection, tenant, endpoint, clock) == 1


async def test_events_that_an_endpoint_does_not_want_are_not_replayed_to_it(
    senders: Senders, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    await senders.tell(None)
    other = await senders.endpoint("https://failures.example/", events=["job.failed"])
    assert await replay(connection, tenant, other, clock) == 0


async def test_replays_are_never_in_the_way_of_fresh_deliveries(
    senders: Senders, endpoint: UUID, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    await senders.execute("UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'asked'")
    for _ in range(20):
        await senders.tell(None)
    await senders.enable(endpoint)
    assert await replay(connection, tenant, endpoint, clock) == 20
    clock.move(1)
    fresh = {(await senders.tell(None)).id for _ in range(3)}
    claimed = await senders.claim()
    assert fresh < {one.event_id for one in claimed}
    assert Counter(one.origin for one in claimed) == {
        f"endpoint:{endpoint}": 3,
        f"replay:endpoint:{endpoint}": 1,
    }
    # One at a time, each as soon as the one before has ended.
    replayed = [one for one in claimed if one.origin.startswith("replay:")]
    for _ in range(19):
        turn = await senders.end(replayed, with_=Answered(204), room=9)
        replayed = list(turn.claimed)
        assert len(replayed) == 1


async def test_an_open_breaker_lets_one_through_for_whoever_asks_and_then_holds_replays_back_too(
    senders: Senders, endpoint: UUID, connection: Connection, tenant: Tenant, clock: Clock
) -> None:
    for _ in range(8):
        await senders.tell(None)
    for _ in range(2):
        await senders.end(await senders.claim(), with_=Unreachable())
    for row in await senders.deliveries():
        assert await again.redeliver(connection, tenant, row["id"], now=clock())
    (probe,) = await senders.claim()
    assert probe.origin == f"replay:endpoint:{endpoint}"
    (opened,) = (await senders.end([probe], with_=Unreachable())).opened
    assert (opened.openings, opened.open_until) == (2, clock.now + timedelta(seconds=60))
    assert not await senders.claim()
    clock.move(60)
    (probe,) = await senders.claim()
    turn = await senders.end([probe], with_=Answered(204), room=9)
    assert len(turn.claimed) == 1, "replays go one at a time, however well the receiver is"
