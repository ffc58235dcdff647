"""`GET /v1/events`: misses nothing and shows nothing twice, in whatever order transactions commit."""

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest
from harness.levers import Levers

from service.database import Connection
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks import feed_reader, outbox
from service.webhooks.store import erasure
from service.webhooks.store.feed import stamp


async def read(levers: Levers, after: str | None = None, **query: Any) -> dict[str, Any]:
    answer = await levers.api.get("/v1/events", params=query | ({"after": after} if after else {}))
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def stamped(levers: Levers) -> int:
    async with levers.database.hot_statement() as connection:
        return await stamp(connection)


async def insert(connection: Connection, tenant: Tenant, *, event: str = "job.completed") -> UUID:
    told = outbox.Event(
        id=uuid7(), tenant_id=tenant.id, mode=tenant.mode, job_id=uuid7(), type=event, is_end=True,
        sequence=1, body=b'{"type": "%s", "data": {"a": 1.50}}' % event.encode(),
    )  # fmt: skip
    await outbox.record(connection, told, None, now=None)
    return told.id


def ids(page: dict[str, Any]) -> list[str]:
    return [event["id"] for event in page["data"]]


async def test_an_event_is_shown_as_it_is_sent_with_its_id(levers: Levers) -> None:
    event = await levers.tell()
    assert (await read(levers))["data"] == []
    await stamped(levers)
    page = await read(levers)
    assert page["data"] == [{"id": str(event.id), "type": "job.completed", "data": {"n": 1}}]
    assert page["has_more"] is False


async def test_the_cursor_goes_on_also_where_nothing_was_found(levers: Levers) -> None:
    empty = await read(levers)
    assert (empty["data"], empty["has_more"]) == ([], False)
    first = await levers.tell()
    await stamped(levers)
    page = await read(levers, empty["next_cursor"])
    assert ids(page) == [str(first.id)]
    again = await read(levers, page["next_cursor"])
    assert (again["data"], again["next_cursor"]) == ([], page["next_cursor"])
    second = await levers.tell()
    await stamped(levers)
    assert ids(await read(levers, again["next_cursor"])) == [str(second.id)]


async def test_pages_end_where_they_are_full(levers: Levers) -> None:
    events = [str((await levers.tell()).id) for _ in range(5)]
    await stamped(levers)
    first = await read(levers, limit=2)
    second = await read(levers, first["next_cursor"], limit=2)
    third = await read(levers, second["next_cursor"], limit=2)
    assert ids(first) + ids(second) + ids(third) == events
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]


async def test_only_the_types_that_are_asked_for_are_shown_and_a_page_looks_only_so_far(
    levers: Levers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_reader, "READ_AT_ONCE", 3)
    for kind in ("job.completed", "job.completed", "job.failed", "job.completed", "job.completed"):
        await levers.tell(kind)
    rare = await levers.tell("job.expired")
    await stamped(levers)
    page = await read(levers, types="job.expired,job.cancelled")
    assert (page["data"], page["has_more"]) == ([], True)
    page = await read(levers, page["next_cursor"], types="job.expired,job.cancelled")
    assert ids(page) == [str(rare.id)]


async def test_what_a_deleted_job_had_to_tell_is_not_there(levers: Levers) -> None:
    erased, kept = await levers.tell(), await levers.tell()
    await stamped(levers)
    async with levers.database.transaction() as connection:
        await erasure.erase(connection, levers.tenant, erased.job_id, now=None)
    page = await read(levers)
    assert ids(page) == [str(kept.id)]


@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "////////////"}, {"types": "job.lost"}, {"cursor": "x"}, {"limit": 0}]
)
async def test_a_query_that_cannot_be_read_is_refused(levers: Levers, query: dict[str, str]) -> None:
    assert (await levers.api.get("/v1/events", params=query)).status_code == 400


async def test_test_and_live_have_feeds_of_their_own(levers: Levers) -> None:
    test = Tenant(levers.tenant.id, "test")
    async with levers.database.transaction() as connection:
        live_id, test_id = await insert(connection, levers.tenant), await insert(connection, test)
    await stamped(levers)
    assert ids(await read(levers)) == [str(live_id)]
    answer = await levers.api.get("/v1/events", headers=await levers.key(test))
    assert ids(answer.json()) == [str(test_id)]


async def test_what_is_committed_late_is_not_missed_by_whoever_has_read_on(levers: Levers) -> None:
    async with levers.database.transaction() as slow:
        early = await insert(slow, levers.tenant)
        async with levers.database.transaction() as fast:
            late = await insert(fast, levers.tenant)
        await stamped(levers)
        page = await read(levers)
        assert ids(page) == [str(late)]
        assert early < late
    await stamped(levers)
    assert ids(await read(levers, page["next_cursor"])) == [str(early)]


async def test_a_reader_sees_everything_once_while_transactions_commit_out_of_order(levers: Levers) -> None:
    luck = random.Random(7)
    told: list[UUID] = []
    done = asyncio.Event()

    async def write(number: int) -> None:
        for _ in range(15):
            async with levers.database.transaction() as connection:
                event_id = await insert(connection, levers.tenant)
                await asyncio.sleep(luck.random() * 0.02 * (1 + number % 3))
            told.append(event_id)

    async def keep_stamping() -> None:
        while not done.is_set():
            await stamped(levers)

    async def follow() -> list[str]:
        seen: list[str] = []
        cursor = None
        while True:
            last_look = done.is_set()
            page = await read(levers, cursor, limit=5)
            seen += ids(page)
            cursor = page["next_cursor"]
            if last_look and not page["has_more"]:
                return seen

    stampers = [asyncio.create_task(keep_stamping()) for _ in range(2)]
    reader = asyncio.create_task(follow())
    async with asyncio.timeout(60):
        await asyncio.gather(*(write(number) for number in range(4)))
        while await stamped(levers) or await unplaced(levers):
            pass
        done.set()
        await asyncio.gather(*stampers)
        seen = await reader
    assert len(seen) == len(set(seen)) == 60
    assert set(seen) == {str(event_id) for event_id in told}


async def unplaced(levers: Levers) -> int:
    async with levers.database.driver() as driver:
        return int(await driver.fetchval("SELECT count(*) FROM events WHERE position IS NULL"))
