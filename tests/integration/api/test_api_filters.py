"""GET /v1/jobs, narrowed: each filter, several at once, and page by page."""

from collections.abc import Awaitable, Callable
from datetime import timedelta, timezone
from typing import Any

import httpx

from service.database import Database
from service.jobs.job import Job
from service.jobs.store import moves
from service.tenants.tenant import Tenant

Accepting = Callable[..., Awaitable[Job]]
NewKey = Callable[..., Awaitable[str]]


async def listed(api: httpx.AsyncClient, **params: Any) -> list[str]:
    """The ids of all jobs that are found, over as many pages as it takes."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        given = params | ({"cursor": cursor} if cursor else {})
        response = await api.get("/v1/jobs", params=given)
        assert response.status_code == 200, response.text
        page = response.json()
        found += [job["id"] for job in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def ids(*jobs: Job) -> list[str]:
    """As a list shows them: newest first."""
    return [str(job.id) for job in reversed(jobs)]


async def test_jobs_are_found_by_their_external_id(api: httpx.AsyncClient, accepted: Accepting) -> None:
    a1, b, a2 = [await accepted(external_id=name) for name in ("a", "b", "a")]
    await accepted()

    assert await listed(api, external_id="a") == ids(a1, a2)
    assert await listed(api, external_id="a", limit=1) == ids(a1, a2)
    assert await listed(api, external_id="b") == ids(b)
    assert await listed(api, external_id="") == await listed(api, external_id="A") == []


async def test_jobs_are_found_by_their_model(api: httpx.AsyncClient, accepted: Accepting) -> None:
    edit, other = await accepted(), await accepted(model="acme/paint")

    assert await listed(api, model=edit.model) == ids(edit)
    assert await listed(api, model="acme/paint") == ids(other)
    assert await listed(api, model="nobody/none") == []


async def test_jobs_are_found_by_their_metadata(api: httpx.AsyncClient, accepted: Accepting) -> None:
    both = await accepted(metadata={"team": "ads", "ünï.k=v": "✓&"})
    ads = await accepted(metadata={"team": "ads"})
    art = await accepted(metadata={"team": "art", "ads": "team"})
    await accepted()

    assert await listed(api, **{"metadata.team": "ads"}) == ids(both, ads)
    assert await listed(api, **{"metadata.team": "ads", "limit": 1}) == ids(both, ads)
    assert await listed(api, **{"metadata.team": "art"}) == ids(art)
    assert await listed(api, **{"metadata.team": "ads", "metadata.ünï.k=v": "✓&"}) == ids(both)
    assert await listed(api, **{"metadata.ünï.k=v": "✓&", "metadata.team": "ads"}) == ids(both)
    assert await listed(api, **{"metadata.team": "ads", "metadata.ads": "team"}) == []
    assert await listed(api, **{"metadata.team": ""}) == []


async def test_jobs_are_found_by_when_they_were_created(api: httpx.AsyncClient, accepted: Accepting) -> None:
    jobs = [await accepted() for _ in range(4)]
    second, third = jobs[1].created_at.isoformat(), jobs[2].created_at.isoformat()

    assert await listed(api, created_after=second) == ids(*jobs[1:])
    assert await listed(api, created_before=third) == ids(*jobs[:2])
    assert await listed(api, created_after=second, created_before=third) == ids(jobs[1])
    assert await listed(api, created_after=third, created_before=second) == []
    elsewhere = jobs[1].created_at.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    assert await listed(api, created_after=elsewhere.isoformat()) == ids(*jobs[1:])


async def test_times_far_away_are_times_too(api: httpx.AsyncClient, accepted: Accepting) -> None:
    job = await accepted()
    long_ago, far_off = "0001-01-01T00:00:00Z", "9999-12-31t23:59:59.999999999z"

    assert await listed(api, created_after=long_ago, created_before=far_off) == ids(job)
    assert await listed(api, created_after=far_off) == await listed(api, created_before=long_ago) == []


async def test_an_id_may_be_older_than_its_job_by_what_clocks_differ(
    api: httpx.AsyncClient, accepted: Accepting
) -> None:
    """The ids of these are of now; their times are not."""
    now = (await accepted()).created_at
    early = await accepted(now=now - timedelta(minutes=59))
    late = await accepted(now=now + timedelta(minutes=59))

    middle = (now - timedelta(minutes=30)).isoformat(), (now + timedelta(minutes=30)).isoformat()
    assert await listed(api, created_before=middle[0]) == ids(early)
    assert await listed(api, created_after=middle[1]) == ids(late)


async def test_all_filters_hold_at_once(
    api: httpx.AsyncClient, accepted: Accepting, database: Database
) -> None:
    wanted: dict[str, Any] = {"external_id": "a", "metadata": {"team": "ads"}}
    cancelled = [await accepted(**wanted) for _ in range(3)]
    waiting = await accepted(**wanted)
    for other in ({"external_id": "b"}, {"metadata": {"team": "art"}}, {"model": "acme/paint"}):
        cancelled_too = await accepted(**(wanted | other))
        await cancel(database, cancelled_too)
    for job in cancelled:
        await cancel(database, job)
    asked = {"external_id": "a", "metadata.team": "ads", "model": waiting.model}

    assert await listed(api, **asked) == ids(*cancelled, waiting)
    assert await listed(api, **asked, status="cancelled", limit=2) == ids(*cancelled)
    assert await listed(api, **asked, status="cancelled,accepted", limit=1) == ids(*cancelled, waiting)
    since = cancelled[1].created_at.isoformat()
    assert await listed(api, **asked, status="cancelled", created_after=since) == ids(*cancelled[1:])


async def test_several_statuses_are_listed_in_one_order(
    api: httpx.AsyncClient, accepted: Accepting, database: Database
) -> None:
    jobs = [await accepted() for _ in range(7)]
    for job in jobs[::2]:
        await cancel(database, job)

    assert await listed(api, status="accepted,cancelled", limit=2) == ids(*jobs)
    assert await listed(api, status="failed,cancelled", limit=3) == ids(*jobs[::2])


async def test_filters_find_nothing_of_others(
    api: httpx.AsyncClient,
    accepted: Accepting,
    another_tenant: Callable[[str], Awaitable[Tenant]],
    tenant: Tenant,
) -> None:
    given: dict[str, Any] = {"external_id": "a", "metadata": {"team": "ads"}}
    for other in (await another_tenant("other"), Tenant(id=tenant.id, mode="test")):
        await accepted(owner=other, **given)
    mine = await accepted(**given)

    for asked in (
        {"external_id": "a"},
        {"metadata.team": "ads"},
        {"model": mine.model},
        {"status": "accepted"},
    ):
        assert await listed(api, **asked) == ids(mine)


async def cancel(database: Database, job: Job) -> None:
    async with database.transaction() as connection:
        assert await moves.cancel(connection, job, asked=True, now=None)
