"""What an operator on call sees and does, by the command line, on a real Postgres and Redis."""

import json
import re
from collections.abc import Awaitable, Callable

import pytest
from harness.command import Command
from harness.estate import ended_like_these
from harness.world import World
from sqlalchemy import text

from service.database import Database
from service.ids import uuid7
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store import pruning
from service.jobs.store.oversight import _newest
from service.tenants.tenant import Tenant

Accepting = Callable[..., Awaitable[Job]]


pytestmark = pytest.mark.usefixtures("logging_kept")


async def test_jobs_of_all_tenants_are_listed_newest_first(
    run: Command, accepted: Accepting, tenant: Tenant, another_tenant: Callable[[str], Awaitable[Tenant]]
) -> None:
    other = await another_tenant("umbrella")
    jobs = [await accepted(owner=owner) for owner in (tenant, other, tenant)]

    listed = await run.decoded("jobs", "list")
    assert [one["job"]["id"] for one in listed] == [str(job.id) for job in reversed(jobs)]
    assert [one["tenant"] for one in listed] == ["acme", "umbrella", "acme"]
    assert len(await run.decoded("jobs", "list", "--limit", "2")) == 2
    assert [one["tenant"] for one in await run.decoded("jobs", "list", "--tenant", "umbrella")] == [
        "umbrella"
    ]
    assert await run.decoded("jobs", "list", "--status", "failed", "--status", "expired") == []
    table = (await run("jobs", "list", "--status", "accepted")).stdout.splitlines()
    assert [line.split()[:3] for line in table[1:]] == [
        [str(job.id), one["tenant"], "accepted"] for job, one in zip(reversed(jobs), listed, strict=True)
    ]


async def test_looking_for_rare_jobs_does_not_read_the_others(
    database: Database, accepted: Accepting
) -> None:
    await accepted()
    await ended_like_these(database, 20_000)
    for statuses in (frozenset[Status](), frozenset({Status.FAILED}), frozenset(Status)):
        async with database.statement() as connection:
            explained = await connection.execute(
                text(f"EXPLAIN (ANALYZE, FORMAT JSON) {_newest(statuses).element}"),
                {"tenant": None, "modes": ["live", "test"], "limit": 20},
            )
            plan = json.dumps(explained.scalar_one())
        read = re.findall(r'"(?:Actual Rows|Rows Removed by Filter)": ([0-9.]+)', plan)
        assert max(map(float, read)) <= 100, statuses


async def test_a_status_or_a_tenant_that_is_none_is_named(run: Command) -> None:
    result = await run("jobs", "list", "--status", "lost")
    assert result.exit_code == 2
    assert "in_queue" in result.stderr
    result = await run("jobs", "list", "--tenant", "nobody")
    assert (result.exit_code, result.stderr) == (1, "error: There is no tenant nobody.\n")


async def test_the_story_of_a_job_has_all_that_happened_to_it(run: Command, world: World) -> None:
    engine = world.start()
    job = await world.ended(await world.accept("sim:fail"))
    await world.told(1)
    await world.stop(engine)

    story = await run.decoded("jobs", "show", str(job.id))
    assert (story["tenant"], story["job"]["id"], story["job"]["status"]) == ("acme", str(job.id), "failed")
    assert story["work"]["submits"] == 1
    assert [entry["type"] for entry in story["timeline"]] == await world.types(job)
    (delivery,) = story["deliveries"]
    assert (delivery["type"], delivery["status"], delivery["url"]) == ("job.failed", "delivered", world.hook)
    (attempt,) = delivery["attempts"]
    assert (attempt["number"], attempt["status_code"], attempt["error"]) == (1, 204, None)

    shown = (await run("jobs", "show", str(job.id))).stdout
    for part in (str(job.id), "acme", "upstream_failed", "job.submitted", world.hook, "204", attempt["at"]):
        assert part in shown


async def test_the_story_of_a_job_that_waits_says_what_for(
    run: Command, accepted: Accepting, database: Database
) -> None:
    await accepted()
    job = await accepted()
    async with database.driver() as driver:
        await driver.execute("UPDATE tenants SET max_in_flight = 0")
    shown = (await run("jobs", "show", str(job.id))).stdout
    assert "tenant_limit" in shown
    assert "No deliveries" in shown


async def test_a_job_that_was_not_sent_is_cancelled_and_then_retried_once(
    run: Command, accepted: Accepting
) -> None:
    job = await accepted()
    result = await run("jobs", "cancel", str(job.id))
    assert (result.exit_code, result.stdout) == (0, f"Cancelled {job.id}.\n")
    assert (await run.decoded("jobs", "cancel", str(job.id)))["status"] == "cancelled"

    new = await run.decoded("jobs", "retry", str(job.id))
    assert (new["retry_of"], new["status"]) == (str(job.id), "accepted")
    again = await run("jobs", "retry", str(job.id))
    assert again.stdout == f"It was retried before, as {new['id']}.\n"

    asked = [(entry["tenant"], entry["action"], entry["data"]) for entry in await run.decoded("audit")]
    retried, cancelled = [
        ("acme", f"job.{what}_requested", {"job_id": str(job.id)}) for what in ("retry", "cancel")
    ]
    assert asked[:4] == [retried, retried, cancelled, cancelled]


async def test_a_job_at_the_upstream_is_cancelled_there(run: Command, world: World) -> None:
    world.start()
    job = await world.until(await world.accept("sim:queue=60"), Status.IN_QUEUE)
    assert (await run.decoded("jobs", "cancel", str(job.id)))["status"] == "cancelled"
    assert (await world.stats())["calls"]["cancel"] == 1


@pytest.mark.parametrize("command", ["show", "cancel", "retry"])
async def test_a_job_that_there_is_not_is_named(run: Command, command: str) -> None:
    job_id = uuid7()
    result = await run("jobs", command, str(job_id))
    assert (result.exit_code, result.stderr) == (1, f"error: There is no job {job_id}.\n")


async def test_what_cannot_be_done_is_explained(run: Command, accepted: Accepting) -> None:
    job = await accepted()
    result = await run("jobs", "retry", str(job.id))
    assert result.exit_code == 1
    assert result.stderr == (
        "error: Only a job that failed, expired or was cancelled can be retried: it is accepted.\n"
    )


async def test_what_is_old_is_counted_and_then_removed(
    run: Command, database: Database, accepted: Accepting
) -> None:
    kept, old = await accepted(), await accepted()
    async with database.transaction() as connection:
        await connection.execute(text("DELETE FROM job_events"))
        await connection.execute(
            text(
                "UPDATE jobs SET id = uuidv7(interval '-31 days'), status = 'cancelled',"
                " finished_at = now() - interval '31 days' WHERE id = :id"
            ),
            {"id": old.id},
        )
    found = {
        "retention_days": 30,
        "jobs": 1,
        "undelivered": 0,
        "idempotency_keys": 0,
        "events": 0,
        "secrets": 0,
    }

    assert await run.decoded("prune", "--dry-run") == {"dry_run": True} | found
    assert await stored(database) == 2
    told = await run("prune")

    assert told.exit_code == 0
    assert re.search(r"Removed what is old\. Kept are 30 days\.\n +jobs +1\n", told.stdout)
    async with database.statement() as connection:
        assert (await connection.execute(text("SELECT id FROM jobs"))).scalars().all() == [kept.id]
    assert await run.decoded("prune") == {"dry_run": False} | found | {"jobs": 0}


async def test_two_do_not_remove_what_is_old_at_once(run: Command, database: Database) -> None:
    async with database.statement() as connection:
        assert await pruning.begin_alone(connection)
        refused = await run("prune")
        await pruning.end_alone(connection)

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.endswith("somebody else is removing what is old: a worker, or this command\n")


async def stored(database: Database) -> int:
    async with database.statement() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM jobs"))).scalar_one())
