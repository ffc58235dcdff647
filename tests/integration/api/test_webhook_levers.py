"""Endpoints that are disabled, enabled, moved and removed while there is something to send; and replay."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.deliveries import a_turn
from harness.levers import ENDPOINTS, Levers
from sqlalchemy import text

from service.database import Connection

LANE = """
INSERT INTO webhook_lanes (tenant_id, origin, failures, openings, open_until)
SELECT tenant_id, 'endpoint:' || id, 5, 1, now() + interval '1 hour' FROM webhook_endpoints
"""


def str_of(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def somebody_waits(connection: Connection) -> None:
    """For a lock, that is."""
    async with asyncio.timeout(10):
        waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        while not (await connection.execute(waits)).scalar_one():
            await asyncio.sleep(0.01)


async def test_what_an_endpoint_missed_while_it_was_disabled_is_replayed_once(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    async with levers.working():
        before = await levers.tell()
        await levers.came(endpoint, 1)
        await levers.change(endpoint, enabled=False)
        missed = [await levers.tell() for _ in range(3)]
        unwanted = await levers.tell("job.submitted")
        assert len(await levers.log()) == 1
        refused = await levers.api.post(
            f"{ENDPOINTS}/{endpoint['id']}/replay", json={"since": datetime.now(UTC).isoformat()}
        )
        assert (refused.status_code, refused.json()["code"]) == (409, "not_redeliverable")

        await levers.change(endpoint, enabled=True)
        assert await levers.replay(endpoint) == 3
        came = await levers.came(endpoint, 4)
        await levers.logged("delivered", 4)
        assert await levers.replay(endpoint) == 0
    assert [one.headers["webhook-id"] for one in came] == [str(event.id) for event in (before, *missed)]
    assert str(unwanted.id) not in {one.headers["webhook-id"] for one in levers.receiver.deliveries}
    assert all(one.verified for one in came)


async def test_what_was_delivered_is_replayed_only_when_it_is_asked_for(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    async with levers.working():
        event = await levers.tell()
        await levers.logged("delivered")
        assert await levers.replay(endpoint, statuses=["missed", "exhausted"]) == 0
        assert await levers.replay(endpoint, statuses=["delivered"]) == 1
        first, second = await levers.came(endpoint, 2)
    assert (first.body, second.headers["webhook-attempt"]) == (second.body, "2")
    assert second.headers["webhook-id"] == str(event.id)


async def test_what_became_of_an_event_where_an_endpoint_was_before_counts_where_it_is_now(
    levers: Levers,
) -> None:
    endpoint = await levers.endpoint()
    async with levers.working():
        delivered, given_up = await levers.tell(), await levers.tell()
        await levers.logged("delivered", 2)
        async with levers.database.transaction() as connection:
            await connection.execute(
                text("UPDATE webhook_deliveries SET status = 'exhausted' WHERE event_id = :id"),
                {"id": given_up.id},
            )
        moved = await levers.change(endpoint, url=f"{levers.hook}?moved")
        assert await levers.replay(endpoint) == 1
        await levers.logged("delivered", 2)
        assert await levers.replay(endpoint) == 0
        assert await levers.replay(endpoint, statuses=["delivered"]) == 2
        came = [one.headers["webhook-id"] for one in await levers.came(moved, 3)]
    assert (came[0], sorted(came[1:])) == (str(given_up.id), sorted([str(delivered.id), str(given_up.id)]))


async def test_what_did_not_arrive_at_a_url_is_replayed_by_whoever_registers_it_again(levers: Levers) -> None:
    before = await levers.endpoint("same")
    async with levers.working():
        await levers.tell()
        await levers.logged("delivered")
    missed = await levers.tell()
    assert (await levers.api.delete(f"{ENDPOINTS}/{before['id']}")).status_code == 204
    endpoint = await levers.endpoint("same")
    async with levers.working():
        assert await levers.replay(endpoint) == 1
        _, came = await levers.came(endpoint, 2)
        (delivery,) = await levers.logged("delivered", endpoint_id=endpoint["id"])
    assert came.headers["webhook-id"] == str(missed.id) == delivery["event_id"]
    assert came.verified


async def test_a_replay_is_not_in_the_way_of_fresh_deliveries(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    async with levers.working():
        old = [await levers.tell() for _ in range(40)]
        await levers.logged("delivered", 40)
        assert await levers.replay(endpoint, statuses=["delivered"]) == 40
        fresh = await levers.tell()
        ids = [one.headers["webhook-id"] for one in await levers.came(endpoint, 81)]
    assert ids.index(str(fresh.id)) < 70
    assert sorted(ids[40:]) == sorted([*(str(event.id) for event in old), str(fresh.id)])


async def test_a_replay_waits_for_nobody_who_changes_the_endpoint_nor_they_for_it(levers: Levers) -> None:
    """Senders do, under a lock that all of them take: it would hold up every tenant's deliveries."""
    endpoint = await levers.endpoint()
    await levers.tell()
    async with levers.database.transaction() as connection:
        await connection.execute(text("SELECT FROM webhook_endpoints FOR UPDATE"))
        async with asyncio.timeout(10):
            assert await levers.replay(endpoint) == 0


async def test_enabling_an_endpoint_and_settling_its_attempts_never_wait_for_each_other(
    levers: Levers,
) -> None:
    """What settles locks the lane, then the endpoint; with the breaker reset in one transaction with the
    endpoint either of the two would fail.
    """
    endpoint = await levers.endpoint()
    await levers.change(endpoint, enabled=False)
    async with levers.database.transaction() as connection:
        await connection.execute(text(LANE))
    async with levers.database.transaction() as connection:
        await connection.execute(text("UPDATE webhook_lanes SET failures = 6"))
        enabling = asyncio.create_task(levers.change(endpoint, enabled=True))
        await somebody_waits(connection)
        await connection.execute(text("UPDATE webhook_endpoints SET failed_events = 1"))
    assert (await enabling)["breaker"]["state"] == "closed"


@pytest.mark.parametrize("first", ["endpoint:", "replay:"])
async def test_enabling_an_endpoint_has_one_of_its_lanes_locked_at_a_time(levers: Levers, first: str) -> None:
    """What settles has several locked, in no order."""
    endpoint = await levers.endpoint()
    async with levers.database.transaction() as connection:
        for lane in (LANE, LANE.replace("endpoint:", "replay:endpoint:")):
            await connection.execute(text(lane))
    lock = text("UPDATE webhook_lanes SET failures = 6 WHERE starts_with(origin, :first)")
    async with levers.database.transaction() as connection:
        await connection.execute(lock, {"first": first})
        enabling = asyncio.create_task(levers.change(endpoint, enabled=True))
        await somebody_waits(connection)
        await connection.execute(lock, {"first": ""})
    assert (await enabling)["breaker"]["state"] == "closed"


async def test_enabling_an_endpoint_that_is_enabled_resets_its_breaker_too(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    async with levers.database.transaction() as connection:
        await connection.execute(text(LANE))
        await connection.execute(text("UPDATE webhook_endpoints SET failing_since = now()"))
    enabled = await levers.change(endpoint, enabled=True)
    assert (enabled["breaker"]["state"], enabled["status"]) == ("closed", "active")


async def test_only_what_is_in_the_window_is_replayed(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    await levers.change(endpoint, enabled=False)
    await levers.tell()
    await levers.change(endpoint, enabled=True)
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    assert await levers.replay(endpoint, since=str_of(now - 2 * hour), until=str_of(now - hour)) == 0
    assert await levers.replay(endpoint, since=str_of(now - 2 * hour), until=str_of(now + hour)) == 1


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/since"]),
        ({"since": "yesterday"}, ["/since"]),
        ({"since": str(2026)}, ["/since"]),
        ({"since": "NOW", "statuses": []}, ["/statuses"]),
        ({"since": "NOW", "statuses": ["pending"], "limit": 3}, ["/limit", "/statuses/0"]),
    ],
)
async def test_a_window_that_is_none_is_refused(levers: Levers, body: Any, pointers: list[str]) -> None:
    endpoint = await levers.endpoint()
    if body.get("since") == "NOW":
        body = body | {"since": str_of(datetime.now(UTC) - timedelta(minutes=1))}
    answer = await levers.api.post(f"{ENDPOINTS}/{endpoint['id']}/replay", json=body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == pointers


@pytest.mark.parametrize(
    "body",
    [
        {"since": "2020-01-01T00:00:00Z"},
        {"since": "2999-01-01T00:00:00Z"},
        {"since": str_of(datetime.now(UTC) - timedelta(hours=1)), "until": "2020-01-01T00:00:00Z"},
    ],
)
async def test_a_window_that_lies_too_far_back_or_holds_nothing_is_refused(levers: Levers, body: Any) -> None:
    endpoint = await levers.endpoint()
    answer = await levers.api.post(f"{ENDPOINTS}/{endpoint['id']}/replay", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_redeliverable")


async def test_fourteen_days_ago_is_not_too_long_ago(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    assert await levers.replay(endpoint, since=str_of(datetime.now(UTC) - timedelta(days=14))) == 0


async def test_what_is_held_is_sent_once_the_endpoint_is_enabled(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    events = [await levers.tell() for _ in range(6)]
    held = await levers.change(endpoint, enabled=False)
    assert held["waiting"] == {"pending": 0, "held": 6}
    async with levers.working():
        assert {one["status"] for one in await levers.log()} == {"held"}
        enabled = await levers.change(endpoint, enabled=True)
        assert enabled["waiting"]["held"] == 0
        came = await levers.came(endpoint, 6)
        await levers.logged("delivered", 6)
    assert [one.headers["webhook-id"] for one in came] == [str(event.id) for event in events]
    shown = (await levers.api.get(f"{ENDPOINTS}/{endpoint['id']}")).json()
    assert shown["last_success_at"] is not None


async def test_what_waits_for_an_endpoint_that_moves_goes_to_its_new_url(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    url = f"{levers.hook}?moved"
    event, twice = await levers.tell(), await levers.tell(url=url)
    moved = await levers.change(endpoint, url=url)
    async with levers.working():
        await levers.logged("delivered", 2)
    ids = [one.headers["webhook-id"] for one in await levers.came(moved, 2)]
    assert sorted(ids) == sorted([str(event.id), str(twice.id)])
    assert {one["status"] for one in await levers.log(endpoint_id=endpoint["id"])} == {
        "delivered",
        "cancelled",
    }


ELSEWHERE = """
INSERT INTO webhook_deliveries (id, tenant_id, event_id, job_id, url, origin)
SELECT uuidv7(), tenant_id, event_id, job_id, :url, 'https://elsewhere.example' FROM webhook_deliveries
"""


@pytest.mark.parametrize("by_claim", [True, False])
async def test_where_an_event_is_given_to_the_new_url_at_the_same_time_it_goes_there_once(
    levers: Levers, by_claim: bool
) -> None:
    endpoint = await levers.endpoint()
    await levers.tell()
    url = f"{levers.hook}?moved"
    async with levers.database.transaction() as connection:
        await connection.execute(text(ELSEWHERE), {"url": url})
        if by_claim:
            async with levers.database.transaction() as other:
                await other.execute(text("UPDATE webhook_endpoints SET url = :url"), {"url": url})
            moving: asyncio.Task[Any] = asyncio.create_task(a_turn(levers.database, room=9))
        else:
            moving = asyncio.create_task(levers.change(endpoint, url=url))
        await somebody_waits(connection)
    await moving
    async with levers.working():
        await levers.logged("delivered")
        (cancelled,) = await levers.logged("cancelled")
    assert cancelled["endpoint_id"] == endpoint["id"]


async def test_nothing_is_sent_to_a_removed_endpoint_any_more(levers: Levers) -> None:
    gone, other = await levers.endpoint(), await levers.endpoint()
    await levers.tell()
    assert (await levers.api.delete(f"{ENDPOINTS}/{gone['id']}")).status_code == 204
    await levers.tell()
    async with levers.working():
        await levers.came(other, 2)
        await levers.logged("delivered", 2)
    (cancelled,) = await levers.log(endpoint_id=gone["id"])
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "removed")
    assert {one.path for one in levers.receiver.deliveries} == {f"/hook?{other['url'].partition('?')[2]}"}


async def test_an_endpoint_that_is_removed_while_its_secret_is_rotated_is_not_there(levers: Levers) -> None:
    endpoint = await levers.endpoint()
    async with levers.database.transaction() as connection:
        await connection.execute(text("DELETE FROM webhook_endpoints"))
        rotating = asyncio.create_task(levers.api.post(f"{ENDPOINTS}/{endpoint['id']}/rotate-secret"))
        await somebody_waits(connection)
    answer = await rotating
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


MANY = """
INSERT INTO webhook_deliveries (id, tenant_id, event_id, job_id, endpoint_id, url, origin, status)
SELECT uuidv7(), tenant_id, event_id, job_id, endpoint_id, url || '&n=' || n, origin, 'pending'
FROM webhook_deliveries, generate_series(1, 12000) AS n
"""


async def test_however_much_waits_an_endpoint_can_be_disabled_enabled_moved_and_removed(
    levers: Levers,
) -> None:
    endpoint = await levers.endpoint()
    await levers.tell()
    async with levers.database.driver() as driver:
        await driver.execute(MANY)

    async def statuses() -> dict[str, int]:
        async with levers.database.driver() as driver:
            return dict(await driver.fetch("SELECT status, count(*) FROM webhook_deliveries GROUP BY status"))

    disabled = await levers.change(endpoint, enabled=False)
    assert (await statuses(), disabled["waiting"]["held"]) == ({"held": 12_001}, 1000)
    await levers.change(endpoint, enabled=True)
    assert await statuses() == {"pending": 12_001}
    # There is one of them for each URL of an event, so the new URL takes one, and the others are told by it.
    await levers.change(endpoint, url=f"{levers.hook}?moved")
    assert await statuses() == {"pending": 1, "cancelled": 12_000}
    assert (await levers.api.delete(f"{ENDPOINTS}/{endpoint['id']}")).status_code == 204
    assert await statuses() == {"cancelled": 12_001}
