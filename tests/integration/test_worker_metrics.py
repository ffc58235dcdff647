"""What a worker counts, tells Prometheus on its own port, and logs besides."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import structlog
from harness.estate import ended_like_these
from harness.world import World
from prometheus_client import REGISTRY
from sqlalchemy import text

from service.database import Database
from service.dev.processes import reserve_port
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.queue import Bell
from service.worker.metrics import telling_metrics

MODEL = "blackforestlabs/flux-2/dev/edit"
COUNTED: list[tuple[str, dict[str, str]]] = [
    ("moves_total", {"move": "job.submitted", "model": MODEL}),
    ("moves_total", {"move": "job.completed", "model": MODEL}),
    ("accept_to_submit_seconds_count", {"model": MODEL}),
    ("submit_to_end_seconds_count", {"model": MODEL, "status": "completed"}),
    ("claimed_total", {"kind": "waiting"}),
    ("upstream_calls_total", {"call": "submit", "outcome": "accepted"}),
    ("upstream_calls_total", {"call": "result", "outcome": "succeeded"}),
    ("upstream_call_seconds_count", {"call": "submit"}),
    ("webhook_attempts_total", {"status": "delivered"}),
    ("webhook_attempt_seconds_count", {}),
    ("event_to_first_attempt_seconds_count", {}),
]


def counted() -> list[float]:
    return [REGISTRY.get_sample_value(f"edit_jobs_{name}", labels) or 0.0 for name, labels in COUNTED]


async def test_a_jobs_whole_way_is_counted_once_each(world: World) -> None:
    before = counted()
    engine = world.start()
    await world.ended(await world.accept("make it night"))
    await world.told(1)
    await world.stop(engine)  # what is told by then is counted

    more = [now - then for now, then in zip(counted(), before, strict=True)]

    assert dict(zip(map(str, COUNTED), more, strict=True)) == dict.fromkeys(map(str, COUNTED), 1.0)
    assert REGISTRY.get_sample_value(
        "edit_jobs_upstream_calls_total", {"call": "status", "outcome": "finished"}
    )


async def test_a_move_and_an_attempt_are_one_event_each_and_name_things_alike(world: World) -> None:
    with structlog.testing.capture_logs() as logged:
        engine = world.start()
        job = await world.ended(await world.accept("make it night"))
        await world.told(1)
        await world.stop(engine)

    moves = [event for event in logged if event["event"] == "job.moved"]
    (attempt,) = [event for event in logged if event["event"] == "delivery.attempted"]
    types = [event["event_type"] for event in moves]
    assert types == (await world.types(job))[1:]
    for event in (*moves, attempt):
        assert (event["job_id"], event["tenant_id"]) == (str(job.id), str(job.tenant_id))
    assert (attempt["event_type"], attempt["status"], attempt["attempt"]) == ("job.completed", "delivered", 1)
    assert isinstance(attempt["event_id"], str)
    assert isinstance(attempt["delivery_id"], str)


async def test_a_workers_port_tells_what_it_is_at(world: World) -> None:
    port = reserve_port()
    engine = world.start()
    await world.until(await world.accept("sim:queue=60"), Status.IN_QUEUE)
    settings = world.settings.model_copy(update={"metrics_port": port})
    async with telling_metrics(settings, engine), httpx.AsyncClient() as client:
        response = await client.get(f"http://127.0.0.1:{port}/metrics")
        with pytest.raises(OSError, match="in use"):
            await telling_metrics(settings, engine).__aenter__()
    lines = response.text.splitlines()
    assert "edit_jobs_leases_held 1.0" in lines
    assert "edit_jobs_submit_window 100.0" in lines
    assert "edit_jobs_hears_bells 1.0" in lines
    assert f'edit_jobs_jobs{{model="{MODEL}",status="in_queue"}} 1.0' in lines
    assert "edit_jobs_oldest_accepted_seconds 0.0" in lines


async def test_without_a_port_nothing_listens(world: World) -> None:
    engine = world.start()
    with structlog.testing.capture_logs() as logged:
        async with telling_metrics(world.settings, engine):
            pass
    assert "metrics.listening" not in [event["event"] for event in logged]


async def test_a_bell_that_nobody_can_hear_is_counted() -> None:
    def lost() -> float:
        return REGISTRY.get_sample_value("edit_jobs_bells_total", {"outcome": "lost"}) or 0.0

    before = lost()
    bell = Bell("unix:///nowhere/redis.sock")
    bell.ring()
    async with asyncio.timeout(5):
        while lost() == before:
            await asyncio.sleep(0.01)
    await bell.close()


async def test_counting_what_has_not_ended_reads_nothing_that_has(
    database: Database, accepted: Callable[..., Awaitable[Job]]
) -> None:
    await accepted()
    await ended_like_these(database, 20_000)
    async with database.statement() as connection:
        # Of a function that runs as its owner the plan does not show.
        body = await connection.scalar(text("SELECT prosrc FROM pg_proc WHERE proname = 'jobs_census'"))
        explained = await connection.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {body}"))
        nodes = list(walk(explained.scalar_one()[0]["Plan"]))
    read = [node for node in nodes if "Relation Name" in node or "Index Name" in node]
    assert {node["Index Name"] for node in read if "Index Name" in node} == {
        "ix_jobs_expiring",
        "ix_jobs_places",
    }
    assert sum(node["Actual Rows"] for node in read if node["Node Type"] != "Bitmap Index Scan") == 1


def walk(node: dict[str, Any]) -> Any:
    yield node
    for child in node.get("Plans", []):
        yield from walk(child)
