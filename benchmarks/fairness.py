"""How soon a small tenant's jobs are submitted, alone and beside one with 100,000 waiting; what claims take.

The large tenant fills all it may have in flight, which leaves places upstream for the small one. From accept
to submit is from the commit of the job to that of the intent to send it, by Postgres's clock. The claim is
the worker's own transaction, taken back each time, so that each finds the same.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from benchmarks._callers import Callers
from benchmarks._report import part_ready, progress, tell
from service.database import Database, migrate
from service.database.driver import Driver
from service.dev.stack import DATABASE, Stack
from service.jobs.store import claims, line
from service.jobs.store.claims import Owner
from service.tenants.models import PLATFORM_TOKEN_ID

RATE, JOBS, WARM_UP = 10, 600, 20
BACKLOG, LINES = 100_000, (1_000, 1_000_000)
LARGE_IN_FLIGHT, PLACES = 60, 100
LARGE_TENANTS, IDLE_TENANTS = 10, 1_000
CLAIMS, ROOM = 300, 10
PATIENCE_SECONDS = 60.0
MOST_RATIO = 1.2
SETTINGS = {"UPSTREAM_MAX_IN_FLIGHT": str(PLACES)}
MODEL = "blackforestlabs/flux-2/dev/edit"
OWN_DATABASE = "claims"
OWNER = Owner(name="bench", lease=8.0)

WAITING = """
    INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_events, metadata, priority,
                      on_unconfirmed, status, expires_at)
    SELECT uuidv7(), tenant_id, 'live', $2, $3, '[]', '{job.completed}', '{}', 1, 'fail', 'accepted',
           now() + interval '1 day'
    FROM unnest($1::uuid[]) AS tenant_id, generate_series(1, $4)
"""
TENANTS = """
    INSERT INTO tenants (id, name) SELECT uuidv7(), $1 || '-' || n FROM generate_series(1, $2) AS n
    RETURNING id
"""
WAITED = """
    SELECT extract(epoch FROM intent_at - created_at)::float8 * 1000 FROM jobs WHERE external_id LIKE $1
"""


async def measure(folder: Path) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Milliseconds from accept to submit, alone and beside the backlog; and of claims, by what waits."""
    async with Stack(folder, settings=SETTINGS, progress=part_ready) as stack:
        database = await asyncpg.connect(stack.postgres.url(DATABASE, scheme="postgresql"))
        try:
            waits = await submits(stack, database)
        finally:
            await database.close()
        await asyncio.to_thread(stack.workers[0].stop)
        return waits, await claimed(stack)


async def submits(stack: Stack, database: Any) -> dict[str, list[float]]:
    """The small tenant's waits."""
    large = await stack.create_tenant("large")
    await stack.command("tenants", "set", "large", "--max-in-flight", str(LARGE_IN_FLIGHT))
    await stack.create_tenant("small")
    callers = Callers(stack.api_url, token=await stack.create_key("small"), connections=4)
    try:
        await callers.post_all("/v1/jobs", (job(f"warm-up-{number}") for number in range(WARM_UP)))
        progress(f"  alone: {JOBS} jobs, {RATE} a second")
        waits = {"alone": await posted(callers, database, "alone")}
        await database.execute(WAITING, [UUID(large.id)], MODEL, text_of("large", run=3), BACKLOG)
        await database.execute("VACUUM ANALYZE jobs")
        await until_full(database, UUID(large.id))
        progress(f"  beside {BACKLOG} waiting")
        waits["beside"] = await posted(callers, database, "beside")
        left = await database.fetchval("SELECT count(*) FROM jobs WHERE status = 'accepted'")
        assert left > BACKLOG / 2, f"only {left} still wait: the backlog was too small"
    finally:
        callers.close()
    return waits


async def posted(callers: Callers, database: Any, phase: str) -> list[float]:
    """Milliseconds from accept to submit of jobs that come at a steady rate."""
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(JOBS):
            await asyncio.sleep(begun + number / RATE - time.monotonic())
            group.create_task(callers.post("/v1/jobs", job(f"{phase}-{number}")))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while None in (waits := [row[0] for row in await database.fetch(WAITED, f"{phase}-%")]):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    assert len(waits) == JOBS
    return waits


async def until_full(database: Any, tenant_id: UUID) -> None:
    """The large tenant has all in flight that it may have."""
    query = """
        SELECT count(*) FROM jobs
        WHERE tenant_id = $1 AND status IN ('submitting', 'in_queue', 'in_progress')
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await database.fetchval(query, tenant_id) < LARGE_IN_FLIGHT * 0.9:  # noqa: ASYNC110  a count
            await asyncio.sleep(0.1)


async def claimed(stack: Stack) -> dict[str, list[float]]:
    """What claims take beside so many waiting, of a few tenants of many."""
    connection = await asyncpg.connect(stack.postgres.url(DATABASE, scheme="postgresql"))
    await connection.execute(f"CREATE DATABASE {OWN_DATABASE}")
    await connection.close()
    await asyncio.to_thread(migrate, stack.postgres.url(OWN_DATABASE))
    filling = await asyncpg.connect(stack.postgres.url(OWN_DATABASE, scheme="postgresql"))
    pool = Database(stack.postgres.url(OWN_DATABASE), connections=1)
    found: dict[str, list[float]] = {}
    try:
        await filling.fetch(TENANTS, "idle", IDLE_TENANTS)
        tenants = [row["id"] for row in await filling.fetch(TENANTS, "large", LARGE_TENANTS)]
        have = 0
        for wanted in LINES:
            progress(f"  claims beside {wanted} waiting")
            each = (wanted - have) // LARGE_TENANTS
            await filling.execute(WAITING, tenants, MODEL, text_of("x", run=3), each)
            await filling.execute("VACUUM ANALYZE jobs, tenants")
            found[f"{wanted:,} of {LARGE_TENANTS} tenants"] = await timed(pool)
            have = wanted
        idle = [row["id"] for row in await filling.fetch("SELECT id FROM tenants WHERE name LIKE 'idle-%'")]
        await filling.execute(WAITING, idle, MODEL, text_of("x", run=3), 1)
        await filling.execute("VACUUM ANALYZE jobs")
        found[f"{have + len(idle):,} of {LARGE_TENANTS + len(idle):,} tenants"] = await timed(pool)
    finally:
        await filling.close()
        await pool.close()
    return found


async def timed(database: Database) -> list[float]:
    """Milliseconds of a look for accounts and a claim of a few jobs."""
    took = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        async with database.hot_statement() as connection:
            assert await line.waiting_accounts(connection) == {PLATFORM_TOKEN_ID}
        async with database.driver() as connection:
            transaction = connection.transaction()
            await transaction.start()
            claim = await claims.take_waiting(
                Driver(connection), OWNER, token_id=PLATFORM_TOKEN_ID, places=PLACES, room=ROOM, now=None
            )
            took.append((time.perf_counter() - began) * 1000)
            await transaction.rollback()
        assert len(claim.jobs) == ROOM
    return took[CLAIMS // 10 :]


def job(name: str) -> bytes:
    """A request for one that runs for a second."""
    body = {"input": msgspec.Raw(text_of(name, run=1).encode()), "external_id": name}
    return msgspec.json.encode(body)


def text_of(name: str, *, run: float) -> str:
    """The input of a job, as JSON."""
    prompt = f"{name} make it a rainy evening sim:queue=0 sim:run={run}"
    return msgspec.json.encode({"prompt": prompt, "image_urls": ["https://example.com/house.jpg"]}).decode()


def percentiles(found: list[float]) -> dict[str, float]:
    """The two that are told."""
    cuts = quantiles(found, n=100)
    return {"p50": cuts[49], "p99": cuts[98]}


def main() -> None:
    progress("fairness: from accept to submit beside another's backlog")
    with tempfile.TemporaryDirectory(prefix="edit-jobs-bench-") as folder:
        waits, took = asyncio.run(measure(Path(folder)))
    submit = {phase: percentiles(found) for phase, found in waits.items()}
    ratio = {name: submit["beside"][name] / submit["alone"][name] for name in ("p50", "p99")}
    claim = {waiting: percentiles(found) for waiting, found in took.items()}
    tell(
        "fairness",
        [
            ["milliseconds", "p50", "p99", "promised"],
            ["accept to submit, alone", *submit["alone"].values(), ""],
            [f"beside {BACKLOG:,} waiting", *submit["beside"].values(), ""],
            ["ratio", *ratio.values(), f"{MOST_RATIO}"],
            *([f"claim of {ROOM}, {waiting}", *cuts.values(), ""] for waiting, cuts in claim.items()),
        ],
        {"jobs": JOBS, "backlog": BACKLOG, "accept_to_submit_ms": submit, "ratio": ratio, "claim_ms": claim},
    )


if __name__ == "__main__":
    main()
