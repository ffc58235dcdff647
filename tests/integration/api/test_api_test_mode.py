"""What callers see with a test key: its own jobs, its own line, and pictures that are really there."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from httpx import AsyncClient

from service.database import Database
from service.jobs.job import Job
from service.jobs.store.claims import Owner, take_waiting
from service.tenants import tokens
from service.tenants.models import PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID
from service.tenants.tenant import Tenant
from service.upstream.scripted import FORMATS, PICTURES, Scripted

Accepting = Callable[..., Awaitable[Job]]
NewKey = Callable[..., Awaitable[str]]
SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "webp": b"RIFF"}


@pytest.fixture
async def tester(stranger: AsyncClient, tenant: Tenant, new_key: NewKey) -> AsyncClient:
    """A client with a test key of `tenant`."""
    stranger.headers["Authorization"] = f"Bearer {await new_key(Tenant(id=tenant.id, mode='test'))}"
    return stranger


@pytest.mark.parametrize("form", FORMATS)
async def test_every_picture_that_a_job_can_come_to_is_served(
    stranger: httpx.AsyncClient, app: object, form: str
) -> None:
    seen = set()
    for number in range(1, PICTURES + 1):
        answer = await stranger.get(f"/test-pictures/{number}.{form}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{form}")
        assert answer.content.startswith(SIGNATURES[form])
        seen.add(answer.content)
    assert len(seen) == PICTURES


@pytest.mark.parametrize("name", ["0.png", "5.png", "1.gif", "1", "..%2F1.png"])
async def test_there_are_no_other_pictures(stranger: httpx.AsyncClient, name: str) -> None:
    answer = await stranger.get(f"/test-pictures/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_pictures_of_an_output_are_where_it_says(stranger: httpx.AsyncClient) -> None:
    scripted = Scripted("https://jobs.example", clock=lambda: 0.0)
    inputs = {"prompt": "sim:queue=0 sim:run=0", "num_images": PICTURES}
    taken = await scripted.submit("m", inputs, token="", not_after=float("inf"))
    output = await scripted.result(getattr(taken, "request_id", ""), token="")
    for url in getattr(output, "output", {})["images"]:
        assert (await stranger.get(url)).status_code == 200


async def test_test_and_live_jobs_do_not_see_each_other(
    tester: AsyncClient, accepted: Accepting, tenant: Tenant
) -> None:
    live, test = await accepted(), await accepted(owner=Tenant(id=tenant.id, mode="test"))
    assert [job["id"] for job in (await tester.get("/v1/jobs")).json()["data"]] == [str(test.id)]
    assert (await tester.get(f"/v1/jobs/{live.id}")).status_code == 404
    assert (await tester.get(f"/v1/requests/{live.id}/status")).status_code == 404
    assert (await tester.get(f"/v1/requests/{test.id}/status")).json()["status"] == "in_queue"


async def test_a_test_job_waits_for_no_trouble_of_the_live_account(
    tester: AsyncClient, accepted: Accepting, tenant: Tenant, database: Database
) -> None:
    job = await accepted(owner=Tenant(id=tenant.id, mode="test"))
    async with database.statement() as connection:
        await tokens.report(connection, PLATFORM_TOKEN_ID, trouble="no balance")
    shown = (await tester.get(f"/v1/jobs/{job.id}")).json()
    assert (shown["waiting_for"], shown["queue_position"], shown["mode"]) == (None, 0, "test")


async def test_a_test_job_waits_for_its_tenants_limit_too(
    tester: AsyncClient, accepted: Accepting, tenant: Tenant, database: Database
) -> None:
    async with database.driver() as driver:
        await driver.execute("UPDATE tenants SET max_in_flight = 1")
    jobs = [await accepted(owner=Tenant(id=tenant.id, mode="test")) for _ in range(2)]
    async with database.transaction() as connection:
        owner = Owner(name="w", lease=30)
        claim = await take_waiting(connection, owner, token_id=SCRIPTED_TOKEN_ID, places=99, room=9, now=None)
    assert [job.id for job in claim.jobs] == [jobs[0].id]
    assert (await tester.get(f"/v1/jobs/{jobs[1].id}")).json()["waiting_for"] == "tenant_limit"
