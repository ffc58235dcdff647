import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from harness.deliveries import LANE_SLOTS, PATIENCE, RULES, Clock, Hooks, Senders, answering, listening
from sqlalchemy import text
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from service import __version__
from service.database import Database
from service.dev.embedded import Postgres
from service.encryption import Vault
from service.http import Transport
from service.tenants.tenant import Tenant
from service.webhooks import secrets
from service.webhooks.addresses import judge
from service.webhooks.schedule import Delivered
from service.webhooks.store import Record, claims, sweep
from service.webhooks.store.settle import Ended
from service.webhooks.turn import take_turn


async def test_an_event_arrives_once_and_verifies(senders: Senders, hooks: Hooks, signed: str) -> None:
    async with senders.running() as sender:
        event = await senders.tell(hooks.url)
        sender.wake()
        post = await hooks.next()
    Webhook(signed).verify(post.body, post.headers)
    assert post.body == event.body
    assert {name: post.headers[name] for name in ("webhook-id", "webhook-attempt", "content-type")} == {
        "webhook-id": str(event.id),
        "webhook-attempt": "1",
        "content-type": "application/json",
    }
    assert post.headers["user-agent"] == f"edit-jobs/{__version__}"
    assert hooks.posts.empty()
    delivery = await senders.delivery()
    assert (delivery["status"], delivery["attempts"], delivery["owner"]) == ("delivered", 1, None)


async def test_what_was_due_before_the_start_is_sent_at_once(senders: Senders, hooks: Hooks) -> None:
    event = await senders.tell(hooks.url)
    async with senders.running():
        assert (await hooks.next()).headers["webhook-id"] == str(event.id)


async def test_every_live_secret_signs_and_an_expired_one_does_not(
    senders: Senders, hooks: Hooks, database: Database, vault: Vault, tenant: Tenant
) -> None:
    async with database.transaction() as connection:
        expired = text("UPDATE webhook_secrets SET expires_at = clock_timestamp() - interval '1 second'")
        await connection.execute(expired)
        fresh = [await secrets.issue(connection, vault, tenant.id) for _ in range(2)]
        live = await secrets.live(connection, vault, secrets.Owner(tenant.id))
        assert [one.secret for one in live] == fresh
    await senders.tell(hooks.url)
    async with senders.running():
        post = await hooks.next()
    for secret in fresh:
        Webhook(secret).verify(post.body, post.headers)
    assert len(post.headers["webhook-signature"].split()) == 2


async def test_a_secret_is_not_stored_in_clear(database: Database, signed: str) -> None:
    async with database.statement() as connection:
        sealed = (await connection.execute(text("SELECT sealed FROM webhook_secrets"))).scalar_one()
    assert signed.encode() not in sealed


async def test_a_failing_receiver_is_tried_again_on_the_schedule(
    senders: Senders, hooks: Hooks, clock: Clock
) -> None:
    hooks.answer = answering(500, b"x" * 5000)
    event = await senders.tell(hooks.url)
    started = clock.now
    for number, after in enumerate([0, 5, 300], start=1):
        clock.move(after - 1)
        assert not await senders.claim()
        clock.move(1)
        async with senders.running():
            assert (await hooks.next()).number == (str(event.id), str(number))
    delivery = await senders.delivery()
    assert (delivery["status"], delivery["reason"], delivery["attempts"]) == ("exhausted", "attempts", 3)
    assert delivery["finished_at"] == clock.now
    assert [
        ((row["at"] - started).total_seconds(), row["status_code"], row["error"], row["response"])
        for row in await senders.attempts()
    ] == [(at, 500, "HTTP 500", b"x" * 1024) for at in (0, 5, 305)]


async def test_each_attempt_is_signed_afresh_with_its_own_time(
    senders: Senders, hooks: Hooks, clock: Clock
) -> None:
    hooks.answer = answering(500)
    await senders.tell(hooks.url)
    posts = []
    for _ in range(2):
        async with senders.running():
            posts.append(await hooks.next())
        clock.move(5)
    first, second = posts
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5
    assert second.headers["webhook-signature"] != first.headers["webhook-signature"]
    assert (second.body, second.headers["webhook-id"]) == (first.body, first.headers["webhook-id"])


async def test_a_receiver_that_asks_for_time_gets_it(senders: Senders, hooks: Hooks, clock: Clock) -> None:
    hooks.answer = answering(503, retry_after="120")
    await senders.tell(hooks.url)
    async with senders.running():
        await hooks.next()
    assert (await senders.delivery())["due_at"] == clock.now + timedelta(seconds=120)


async def test_a_receiver_that_is_gone_is_asked_no_more(senders: Senders, hooks: Hooks) -> None:
    hooks.answer = answering(410)
    await senders.tell(hooks.url)
    async with senders.running():
        await hooks.next()
    delivery = await senders.delivery()
    assert (delivery["status"], delivery["reason"]) == ("exhausted", "gone")


async def test_a_redirect_is_a_failure_and_is_not_followed(senders: Senders, hooks: Hooks) -> None:
    hooks.answer = answering(307, location=f"{hooks.url}/elsewhere?token=1")
    await senders.tell(hooks.url)
    async with senders.running():
        await hooks.next()
    assert hooks.posts.empty()
    (attempt,) = await senders.attempts()
    assert attempt["error"] == f"HTTP 307 to {hooks.url}/elsewhere"
    assert (await senders.delivery())["status"] == "pending"


async def test_an_answer_that_does_not_end_is_cut_off(senders: Senders, hooks: Hooks) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b"y" * 4096)
        return response

    hooks.answer = endless
    await senders.tell(hooks.url)
    async with senders.running():
        await hooks.next()
    (attempt,) = await senders.attempts()
    assert attempt["response"] == b"y" * 1024
    assert (await senders.delivery())["status"] == "delivered"


async def test_a_receiver_that_does_not_answer_is_given_a_minute(
    senders: Senders, hooks: Hooks, clock: Clock
) -> None:
    released = asyncio.Event()

    async def silence(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    hooks.answer = silence
    await senders.tell(hooks.url)
    async with senders.running(deadline=0.05):
        await hooks.next()
    released.set()
    (attempt,) = await senders.attempts()
    assert attempt["error"] == "unanswered (read): the deadline of 0.05 s passed"
    assert (await senders.delivery())["due_at"] == clock.now + timedelta(seconds=60)


async def test_a_name_that_leads_to_a_forbidden_address_is_not_connected_to(senders: Senders) -> None:
    asked = asyncio.Event()

    async def resolve(_host: str, _port: int) -> list[str]:
        asked.set()
        return ["127.0.0.1"]

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        await senders.tell(f"https://good.example:{port}/hook")
        transport = Transport(judge=judge(()), resolve=resolve)
        async with senders.running(transport=transport):
            await asyncio.wait_for(asked.wait(), PATIENCE)
        with pytest.raises(BlockingIOError):
            server.accept()
    delivery = await senders.delivery()
    assert (delivery["status"], delivery["reason"]) == ("exhausted", "forbidden_address")
    (attempt,) = await senders.attempts()
    assert (attempt["status_code"], attempt["error"]) == (None, "the address must not be called")


async def test_what_a_dead_sender_had_claimed_is_sent_after_its_lease(senders: Senders, hooks: Hooks) -> None:
    event = await senders.tell(hooks.url)
    (lost,) = await senders.claim(lease=0)
    async with senders.running():
        # The first attempt may have been made: the next one bears another number.
        assert (await hooks.next()).number == (str(event.id), "2")
    assert (await senders.delivery())["epoch"] == lost.epoch + 1


async def test_what_another_sender_has_a_lease_on_is_left_to_it(senders: Senders, hooks: Hooks) -> None:
    await senders.tell(hooks.url)
    assert len(await senders.claim(lease=60)) == 1
    other = await senders.tell(hooks.url)
    async with senders.running():
        assert (await hooks.next()).headers["webhook-id"] == str(other.id)
    assert hooks.posts.empty()


async def test_a_sender_that_was_thought_dead_cannot_settle_for_its_successor(
    senders: Senders, database: Database, clock: Clock
) -> None:
    await senders.tell("https://receiver.example/hook")
    (lost,) = await senders.claim(lease=0)
    async with database.statement() as connection:
        assert await sweep.free_lost(connection) == 1
    await senders.claim()
    before = await senders.delivery()
    record = Record(status_code=204, latency_ms=1, error=None, response=b"")
    ended = Ended(delivery=lost, record=record, verdict=Delivered(), blamed=True)
    turn = await take_turn(database, [ended], room=0, owner="dead", lease=60, rules=RULES, now=clock())
    assert turn.settled == set()
    async with database.statement() as connection:
        await claims.give_back(connection, [lost])
    assert await senders.delivery() == before
    # But it was made, and is in the log.
    assert [(row["number"], row["status_code"]) for row in await senders.attempts()] == [(1, 204)]


async def test_what_was_claimed_and_not_begun_goes_back_without_a_trace(
    senders: Senders, database: Database
) -> None:
    await senders.tell("https://receiver.example/hook")
    before = await senders.delivery()
    claimed = await senders.claim()
    async with database.statement() as connection:
        await claims.give_back(connection, claimed)
    assert await senders.delivery() == before | {"epoch": 1}


async def test_two_senders_never_make_the_same_attempt(senders: Senders, hooks: Hooks) -> None:
    events = [await senders.tell(hooks.url) for _ in range(60)]
    async with senders.running(name="one"), senders.running(name="two"):
        posts = await hooks.next_ones(60)
    assert hooks.posts.empty()
    assert Counter(post.number for post in posts) == Counter((str(event.id), "1") for event in events)
    assert {row["status"] for row in await senders.deliveries()} == {"delivered"}


async def test_a_dead_receiver_holds_up_nobody_else(senders: Senders, hooks: Hooks) -> None:
    released, waiting, most = asyncio.Event(), 0, 0

    async def silence(_: web.Request) -> web.Response:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await released.wait()
        waiting -= 1
        return web.Response()

    async with AsyncExitStack() as stack:
        dead = await stack.enter_async_context(listening())
        dead.answer = silence
        for _ in range(20):
            await senders.tell(dead.url)
        sender = await stack.enter_async_context(senders.running())
        await dead.next_ones(LANE_SLOTS)
        healthy = [await senders.tell(hooks.url) for _ in range(20)]
        sender.wake()
        posts = await hooks.next_ones(20)
        assert {post.headers["webhook-id"] for post in posts} == {str(event.id) for event in healthy}
        # What its lane has no room for is held by nobody, and comes by itself as soon as there is room.
        assert Counter(row["status"] for row in await senders.deliveries() if row["url"] == dead.url) == {
            "delivering": LANE_SLOTS,
            "pending": 20 - LANE_SLOTS,
        }
        released.set()
        await dead.next_ones(20 - LANE_SLOTS)
    assert most == LANE_SLOTS
    assert {row["status"] for row in await senders.deliveries()} == {"delivered"}


async def test_an_attempt_on_the_wire_may_finish_when_the_sender_stops(
    senders: Senders, hooks: Hooks
) -> None:
    stopping = asyncio.Event()

    async def late(_: web.Request) -> web.Response:
        await stopping.wait()
        return web.Response()

    hooks.answer = late
    await senders.tell(hooks.url)
    async with senders.running() as sender:
        await hooks.next()
        stop = asyncio.create_task(sender.stop())
        await senders.tell(hooks.url)
        stopping.set()
        await stop
    assert [row["status"] for row in await senders.deliveries()] == ["delivered", "pending"]
    assert hooks.posts.empty()


async def test_what_is_claimed_while_the_sender_stops_goes_back(
    senders: Senders, hooks: Hooks, clock: Clock
) -> None:
    await senders.tell(hooks.url)
    stops: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()
    async with senders.running() as sender:
        await hooks.next()
        await senders.settled()
        await senders.tell(hooks.url)
        # A turn reads the clock just before it goes to Postgres, and stopping comes in between.
        clock.on_read = lambda: stops.put_nowait(asyncio.create_task(sender.stop()))
        sender.wake()
        await asyncio.wait_for(await stops.get(), PATIENCE)
    _, delivery = await senders.deliveries()
    assert (delivery["status"], delivery["attempts"], delivery["epoch"]) == ("pending", 0, 1)
    assert hooks.posts.empty()


async def test_an_outcome_outlives_an_outage_of_postgres(
    senders: Senders, hooks: Hooks, postgres: Postgres
) -> None:
    async def kill_postgres(_: web.Request) -> web.Response:
        await asyncio.to_thread(postgres.kill)
        return web.Response()

    def chance() -> float:
        postgres.start()  # the sender asks for chance when it is about to wait for Postgres
        return 0.0

    hooks.answer = kill_postgres
    await senders.tell(hooks.url)
    async with senders.running(rand=chance):
        await hooks.next()
    assert hooks.posts.empty()
    await senders.disconnect()  # from before the outage there may be connections left that nobody used since
    assert (await senders.delivery())["status"] == "delivered"


async def test_what_cannot_be_signed_is_not_sent_and_tried_again_later(
    senders: Senders, hooks: Hooks, another_tenant: Callable[[str], Awaitable[Tenant]], clock: Clock
) -> None:
    unsigned = await senders.tell(hooks.url, tenant=await another_tenant("without a secret"))
    good = await senders.tell(hooks.url)
    with capture_logs() as logs:
        async with senders.running():
            assert (await hooks.next()).headers["webhook-id"] == str(good.id)
    assert hooks.posts.empty()
    rows: dict[UUID, dict[str, Any]] = {row["event_id"]: row for row in await senders.deliveries()}
    assert rows[unsigned.id]["status"] == "pending"
    assert rows[unsigned.id]["due_at"] == clock.now + timedelta(seconds=5)
    assert any(line["event"] == "delivery.unsent" for line in logs)


async def test_each_attempt_is_one_event_in_the_log_without_the_urls_query(
    senders: Senders, hooks: Hooks, tenant: Tenant
) -> None:
    hooks.answer = answering(404)
    event = await senders.tell(f"{hooks.url}?token=hush")
    with capture_logs() as logs:
        async with senders.running():
            await hooks.next()
    (line,) = [line for line in logs if line["event"] == "delivery.attempted"]
    expected = {
        "tenant_id": str(tenant.id),
        "job_id": str(event.job_id),
        "url": hooks.url,
        "attempt": 1,
        "status": "pending",
        "status_code": 404,
        "error": "HTTP 404",
    }
    assert {name: line[name] for name in expected} == expected
    assert line["retry_in_seconds"] == 5
    assert "hush" not in str(logs)
