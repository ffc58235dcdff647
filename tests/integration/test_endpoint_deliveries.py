"""Events on their way to registered endpoints: who gets what, and who is disabled for how it answers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
from harness.deliveries import RULES, Clock, Hooks, Senders, answering
from structlog.testing import capture_logs

from service.database import Database
from service.http import Transport
from service.tenants.tenant import Tenant
from service.webhooks.addresses import judge
from service.webhooks.forms import USUALLY_REPLAYED
from service.webhooks.schedule import Answered, Outcome, Unreachable
from service.webhooks.store import again, sweep

URL = "https://receiver.example/hook"
DAY = 86400


async def ways(senders: Senders) -> list[tuple[str, UUID | None]]:
    return [(row["url"], row["endpoint_id"]) for row in await senders.deliveries()]


async def test_an_event_goes_to_every_endpoint_that_wants_it_and_to_the_jobs_own_url(
    senders: Senders, another_tenant: Callable[[str], Awaitable[Tenant]]
) -> None:
    wants = [await senders.endpoint(f"https://{number}.example/") for number in range(2)]
    await senders.endpoint("https://failures.example/", events=["job.failed"])
    await senders.endpoint("https://test.example/", mode="test")
    await senders.endpoint("https://theirs.example/", tenant=await another_tenant("umbrella"))
    disabled = await senders.endpoint("https://disabled.example/")
    await senders.execute(
        f"UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'asked' WHERE id = '{disabled}'"
    )
    await senders.tell(URL)
    found = await senders.deliveries()
    assert {(row["url"], row["endpoint_id"], row["origin"]) for row in found} == {
        ("https://0.example/", wants[0], f"endpoint:{wants[0]}"),
        ("https://1.example/", wants[1], f"endpoint:{wants[1]}"),
        (URL, None, "https://receiver.example"),
    }


async def test_one_url_that_is_registered_and_the_jobs_own_gets_the_event_once_as_the_endpoints(
    senders: Senders,
) -> None:
    endpoint_id = await senders.endpoint(URL)
    await senders.tell(URL)
    assert await ways(senders) == [(URL, endpoint_id)]


async def test_an_endpoint_that_does_not_want_it_does_not_keep_it_from_the_same_url(senders: Senders) -> None:
    await senders.endpoint(URL, events=["job.failed"])
    await senders.tell(URL)
    assert await ways(senders) == [(URL, None)]


async def test_an_endpoint_that_answers_410_is_disabled_and_its_deliveries_are_held(
    senders: Senders, clock: Clock, database: Database, tenant: Tenant
) -> None:
    endpoint_id = await senders.endpoint(f"{URL}?token=hush")
    for _ in range(6):
        await senders.tell("https://elsewhere.example")
    claimed = [one for one in await senders.claim() if one.endpoint_id]
    turn = await senders.end(claimed[:1], with_=Answered(410))
    assert [(one.id, one.reason) for one in turn.disabled] == [(endpoint_id, "gone")]
    row = await senders.endpoint_row()
    assert (row["disabled_at"], row["disabled_reason"]) == (clock.now, "gone")

    # What stood in its line is held when its turn comes, what was on the wire may still arrive.
    await senders.end(claimed[1:], with_=Answered(204))
    assert not [one for one in await senders.claim() if one.endpoint_id]
    statuses = [row["status"] for row in await senders.deliveries() if row["endpoint_id"]]
    assert sorted(statuses) == ["delivered"] * 3 + ["held"] * 3

    # And what happens from now on makes no delivery, but is on the feed.
    await senders.tell(None)
    assert len([row for row in await senders.deliveries() if row["endpoint_id"]]) == 6
    (told,) = await senders.events("endpoint.disabled")
    body = msgspec.json.decode(told["body"])
    assert (told["job_id"], told["sequence"], told["is_end"]) == (None, None, False)
    assert (body["type"], body["data"]["id"], body["data"]["url"]) == (
        "endpoint.disabled",
        str(endpoint_id),
        URL,
    )
    assert body["data"]["disabled_reason"] == "gone"
    assert body["data"]["tenant_id"] == str(tenant.id)
    async with database.statement() as connection:
        assert await sweep.hold(connection) == 0


async def test_what_was_recorded_while_its_endpoint_was_being_disabled_is_held_by_the_sweep(
    senders: Senders, database: Database
) -> None:
    await senders.endpoint(URL)
    await senders.tell(None)
    await senders.execute("UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'asked'")
    async with database.statement() as connection:
        assert await sweep.hold(connection) == 1
    assert (await senders.delivery())["status"] == "held"


async def test_what_was_being_held_while_its_endpoint_was_enabled_is_let_go_by_the_sweep(
    senders: Senders, database: Database
) -> None:
    await senders.endpoint(URL)
    await senders.tell(None)
    await senders.execute("UPDATE webhook_deliveries SET status = 'held'")
    async with database.statement() as connection:
        assert await sweep.release(connection) == 1
    assert [one.url for one in await senders.claim()] == [URL]


@pytest.mark.parametrize("in_line", [False, True])
async def test_what_was_recorded_while_its_endpoint_moved_is_sent_where_that_is_now_and_only_once(
    senders: Senders, in_line: bool
) -> None:
    endpoint_id = await senders.endpoint("https://before.example/")
    await senders.tell(URL)
    await senders.tell(None)
    await senders.execute(f"UPDATE webhook_endpoints SET url = '{URL}'")
    if in_line:
        await senders.execute("UPDATE webhook_deliveries SET in_line = TRUE")
        await senders.execute(
            "INSERT INTO webhook_lanes (tenant_id, origin, ready_at)"
            " SELECT DISTINCT tenant_id, origin, now() - interval '1 day' FROM webhook_deliveries"
        )
    sent = [*await senders.claim(), *await senders.claim()]
    assert sorted((one.url, one.endpoint_id is None) for one in sent) == [(URL, False), (URL, True)]
    (cancelled,) = [row for row in await senders.deliveries() if row["status"] == "cancelled"]
    assert (cancelled["endpoint_id"], cancelled["url"]) == (endpoint_id, "https://before.example/")


async def test_what_was_recorded_while_its_endpoint_was_being_removed_is_cancelled(senders: Senders) -> None:
    await senders.endpoint(URL)
    await senders.tell(None)
    await senders.execute("DELETE FROM webhook_endpoints")
    assert not await senders.claim()
    delivery = await senders.delivery()
    assert (delivery["status"], delivery["reason"]) == ("cancelled", "removed")


async def fail(senders: Senders, clock: Clock, *, hours: Sequence[float], outcome: Outcome) -> list[Any]:
    """A new event fails after each of these waits; endpoints that were disabled for it."""
    senders.rules = replace(RULES, breaker_failures=1000)
    disabled: list[Any] = []
    for wait in hours:
        clock.move(wait * 3600)
        await senders.tell(None)
        disabled += (await senders.end(await senders.claim(), with_=outcome)).disabled
    return disabled


async def test_an_endpoint_that_nothing_has_reached_for_five_days_is_disabled(
    senders: Senders, clock: Clock
) -> None:
    await senders.endpoint(URL)
    assert not await fail(senders, clock, hours=[0, 1, 1, 96, 21.9], outcome=Unreachable())
    began = (await senders.endpoint_row())["failing_since"]
    (disabled,) = await fail(senders, clock, hours=[0.1], outcome=Unreachable())
    assert (disabled.reason, disabled.failing_since) == ("failing", began)
    assert clock.now - began == timedelta(days=5)
    assert len(await senders.events("endpoint.disabled")) == 1


@pytest.mark.parametrize(
    ("hours", "why"),
    [([121, 121], "too few events"), ([0, 119], "too soon")],
)
async def test_it_is_not_disabled_as_long_as(
    hours: list[float], why: str, senders: Senders, clock: Clock
) -> None:
    await senders.endpoint(URL)
    assert not await fail(senders, clock, hours=hours, outcome=Unreachable()), why


async def test_it_is_not_disabled_when_all_failures_lie_within_twelve_hours(
    senders: Senders, clock: Clock
) -> None:
    await senders.endpoint(URL)
    await fail(senders, clock, hours=[0], outcome=Answered(204))
    assert not await fail(senders, clock, hours=[6 * 24, 4, 4, 3.9], outcome=Unreachable())
    assert await fail(senders, clock, hours=[0.1], outcome=Unreachable())


async def test_a_success_begins_the_count_anew(senders: Senders, clock: Clock) -> None:
    await senders.endpoint(URL)
    await fail(senders, clock, hours=[0, 48, 48], outcome=Unreachable())
    await fail(senders, clock, hours=[23], outcome=Answered(204))
    row = await senders.endpoint_row()
    assert (row["failing_since"], row["failed_events"], row["succeeded_at"]) == (None, 0, clock.now)
    assert not await fail(senders, clock, hours=[2, 48, 48], outcome=Unreachable())


async def test_retries_of_one_event_are_one_failed_event(senders: Senders, clock: Clock) -> None:
    await senders.endpoint(URL)
    await senders.tell(None)
    for wait in (0, 5, 300):
        clock.move(wait)
        await senders.end(await senders.claim(), with_=Unreachable())
    assert (await senders.endpoint_row())["failed_events"] == 1


async def test_an_endpoint_whose_address_must_not_be_called_is_tried_again(senders: Senders) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["169.254.169.254"]

    await senders.endpoint(URL)
    await senders.tell(None)
    async with senders.running(transport=Transport(judge=judge(()), resolve=resolve)):
        await senders.tried()
    delivery = await senders.delivery()
    assert (delivery["status"], delivery["attempts"], delivery["reason"]) == ("pending", 1, None)


async def test_a_fault_of_ours_is_no_failure_of_the_receiver(
    senders: Senders, another_tenant: Callable[[str], Awaitable[Tenant]]
) -> None:
    unsigned = await another_tenant("without a secret")
    await senders.endpoint(URL, tenant=unsigned)
    await senders.execute("DELETE FROM webhook_secrets WHERE endpoint_id IS NOT NULL")
    await senders.tell(None, tenant=unsigned)
    with capture_logs():
        async with senders.running():
            await senders.tried()
    assert await senders.lanes() == []
    assert (await senders.endpoint_row())["failing_since"] is None


async def test_a_receiver_that_was_disabled_and_enabled_again_gets_what_was_held_and_replays_what_it_missed(
    senders: Senders, hooks: Hooks, clock: Clock, database: Database, tenant: Tenant
) -> None:
    endpoint_id = await senders.endpoint(hooks.url)
    since = clock.now
    hooks.answer = answering(410)
    before = [(await senders.tell(None)).id for _ in range(3)]
    async with senders.running():
        await hooks.next()
        await senders.tried()
    for _ in range(9):
        await senders.claim()
    hooks.posts = type(hooks.posts)()
    clock.move(3600)
    meanwhile = [(await senders.tell(None)).id for _ in range(3)]
    hooks.answer = answering(204)
    await senders.enable(endpoint_id)
    async with database.transaction() as connection:
        replay = partial(
            again.replay, connection, tenant, endpoint_id, since=since, until=None, statuses=USUALLY_REPLAYED
        )
        # What is held was released, and is on its way without a replay.
        assert await replay(now=clock()) == 3
        assert await replay(now=clock()) == 0
    fresh = (await senders.tell(None)).id
    clock.move(1)
    async with senders.running() as sender:
        for _ in range(6):
            clock.move(1)
            sender.wake()
        posts = await hooks.next_ones(7)
    assert sorted(UUID(post.headers["webhook-id"]) for post in posts) == sorted([*before, *meanwhile, fresh])
    assert hooks.posts.empty()
    assert {row["status"] for row in await senders.deliveries()} == {"delivered"}
