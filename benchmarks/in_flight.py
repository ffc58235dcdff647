"""Memory and CPU of one worker with 1,000, 5,000 and 10,000 jobs under way.

It takes over jobs that others had begun and that do not end, evenly over one round of reads. Each job is read
every 15 s, the pace at which all are a minute after their submit.
"""

import asyncio
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
import msgspec

from benchmarks._callers import Callers
from benchmarks._report import part_ready, progress, tell
from benchmarks._usage import by_part, resident_megabytes
from service.dev.stack import DATABASE, Stack
from service.ids import uuid7
from service.jobs.pace import Pace
from service.tenants.models import PLATFORM_TOKEN_ID

LEVELS = (1_000, 5_000, 10_000)
MODEL = "blackforestlabs/flux-2/dev/edit"
ROUND_SECONDS = int(Pace(1).longest)
COST = 100
"""So much that the first wait without history is longer than the longest."""
MEASURED_SECONDS = 10.0
SETTINGS = {"UPSTREAM_MAX_IN_FLIGHT": str(LEVELS[-1]), "POLL_COST": str(COST)}
INPUT = {
    "prompt": "Make it a rainy evening, with lights in the windows sim:stuck",
    "image_urls": ["https://example.com/house.jpg"],
}

# As a worker that was told to stop leaves them.
UNDER_WAY = """
    WITH job AS (
        INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_url, callback_events,
                          external_id, metadata, priority, on_unconfirmed, status, sequence, submits,
                          intent_at, token_id, upstream_id, submitted_at, started_at, expires_at)
        SELECT id, $2, 'live', $3, $4, '[]', 'https://example.com/hook', '{job.completed}',
               'order-17', '{"team":"ads"}', 1, 'fail', 'in_progress', 4, 1, now(),
               $5, upstream_id, now(), now(), now() + interval '1 day'
        FROM unnest($1::uuid[], $6::text[]) AS new (id, upstream_id)
        RETURNING id, tenant_id
    )
    INSERT INTO job_events (job_id, sequence, tenant_id, type, data)
    SELECT id, sequence, tenant_id, 'job.moved', '{}' FROM job, generate_series(1, 4) AS sequence
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What one worker takes for so many jobs; percents are of one core."""

    jobs: int
    megabytes: float
    worker_percent: float = 0.0
    postgres_percent: float = 0.0
    reads_per_second: float = 0.0


async def measure(folder: Path) -> list[Level]:
    """From the idle worker to the highest level."""
    async with Stack(folder, settings=SETTINGS, progress=part_ready) as stack, httpx.AsyncClient() as http:
        tenant = await stack.create_tenant("bench")
        worker = stack.workers[0]
        found = [Level(jobs=0, megabytes=resident_megabytes(worker.pid))]
        for have, wanted in pairwise((0, *LEVELS)):
            progress(f"  {wanted} jobs under way")
            await put_under_way(stack, UUID(tenant.id), wanted - have)
            seen, before, began = await status_reads(http, stack), by_part(stack), time.monotonic()
            await asyncio.sleep(MEASURED_SECONDS)
            passed, after = time.monotonic() - began, by_part(stack)
            level = Level(
                jobs=wanted,
                megabytes=resident_megabytes(worker.pid),
                worker_percent=(after["worker"] - before["worker"]) / passed * 100,
                postgres_percent=(after["postgres"] - before["postgres"]) / passed * 100,
                reads_per_second=(await status_reads(http, stack) - seen) / passed,
            )
            found.append(level)
        return found


async def put_under_way(stack: Stack, tenant_id: UUID, count: int) -> None:
    """Jobs that the upstream has and nobody follows, some each second of a round."""
    callers = Callers(stack.simulator_url, token="simulated", connections=8)
    connection = await asyncpg.connect(stack.postgres.url(DATABASE, scheme="postgresql"))
    body = msgspec.json.encode(INPUT)
    begun = time.monotonic()
    try:
        for second in range(ROUND_SECONDS):
            share = count * (second + 1) // ROUND_SECONDS - count * second // ROUND_SECONDS
            answers = await callers.post_all(f"/v1/models/{MODEL}", [body] * share)
            upstream_ids = [msgspec.json.decode(answer)["request_id"] for answer in answers]
            ids = [uuid7() for _ in upstream_ids]
            await connection.execute(
                UNDER_WAY, ids, tenant_id, MODEL, body.decode(), PLATFORM_TOKEN_ID, upstream_ids
            )
            await asyncio.sleep(begun + second + 1 - time.monotonic())
    finally:
        callers.close()
        await connection.close()


async def status_reads(http: httpx.AsyncClient, stack: Stack) -> int:
    """As the simulator counts them."""
    reads: int = (await http.get(f"{stack.simulator_url}/_sim/stats")).json()["calls"]["status"]
    return reads


def main() -> None:
    progress("in_flight: one worker with many jobs under way")
    with tempfile.TemporaryDirectory(prefix="edit-jobs-bench-") as folder:
        found = [asdict(level) for level in asyncio.run(measure(Path(folder)))]
    heading = ["jobs under way", "MB (at most 400)", "worker, % of a core", "Postgres", "reads a second"]
    rows = [[round(figure) for figure in level.values()] for level in found]
    tell("in_flight", [heading, *rows], {"levels": found})


if __name__ == "__main__":
    main()
