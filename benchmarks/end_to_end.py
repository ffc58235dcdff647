"""What a job costs from its POST to its webhook, and how long after its end upstream the webhook arrives.

50 jobs a second, each one second in the upstream's queue, then a log-normal run time (median 4 s, sigma 0.4);
the upstream answers at once. The same load runs for 20 s before anything is counted, so that the worker knows
those run times as a worker does that has been there for a while; nobody tells it them. The simulator and the
receiver, not ours in a deployment, are the witnesses.
"""

import asyncio
import math
import random
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any

import httpx
import msgspec

from benchmarks._callers import Callers
from benchmarks._report import part_ready, progress, tell
from benchmarks._usage import by_part
from service.dev.stack import Stack
from service.settings import Settings

RATE, SECONDS, WARM_UP_SECONDS = 50, 40, 20
JOBS, WARM_UP = RATE * SECONDS, RATE * WARM_UP_SECONDS
QUEUE_SECONDS, RUN_MEDIAN, RUN_SIGMA = 1.0, 4.0, 0.4
PATIENCE_SECONDS = 40.0
SETTINGS = {
    # The production pace: that of a stack is quicker.
    "POLL_COST": str(Settings.model_fields["poll_cost"].default),
    "UPSTREAM_MAX_IN_FLIGHT": "2000",
}


async def measure(folder: Path) -> tuple[dict[str, float], list[float], list[int]]:
    """Milliseconds of CPU per job, by part; of each job, seconds from end to webhook and status reads."""
    async with Stack(folder, settings=SETTINGS, progress=part_ready) as stack, httpx.AsyncClient() as http:
        tenant = await stack.create_tenant("bench")
        secret = {"secret": tenant.signing_secret}
        (await http.post(f"{stack.receiver_url}/_receiver/secret", json=secret)).raise_for_status()
        callers = Callers(stack.api_url, token=await stack.create_key("bench"), connections=20)
        hook, chance = f"{stack.receiver_url}/hook", random.Random(4)
        progress(f"  {WARM_UP} jobs to learn from, {RATE} a second")
        await post_at_a_steady_rate(callers, range(WARM_UP), hook=hook, chance=chance)
        await arrivals(http, stack, 0, WARM_UP)
        progress(f"  {JOBS} jobs, {RATE} a second")
        before = by_part(stack)
        await post_at_a_steady_rate(callers, range(WARM_UP, WARM_UP + JOBS), hook=hook, chance=chance)
        webhooks = {job["external_id"]: at for job, at in await arrivals(http, stack, WARM_UP, JOBS)}
        after = by_part(stack)
        callers.close()
        submits = (await http.get(f"{stack.simulator_url}/_sim/requests", timeout=30)).json()
    courses = {submit["prompt"].split()[0]: submit["course"] for submit in submits[WARM_UP:]}
    assert len(courses) == len(submits) - WARM_UP == JOBS, "each job is submitted once"
    assert webhooks.keys() == courses.keys(), "and told once"
    late = [
        (arrived - datetime.fromisoformat(courses[number]["finished_at"])).total_seconds()
        for number, arrived in webhooks.items()
    ]
    cost = {part: (after[part] - before[part]) / JOBS * 1000 for part in before}
    return cost, late, [course["status_reads"] for course in courses.values()]


async def post_at_a_steady_rate(
    callers: Callers, numbers: range, *, hook: str, chance: random.Random
) -> None:
    """Whether or not the service keeps up."""
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for count, number in enumerate(numbers):
            await asyncio.sleep(begun + count / RATE - time.monotonic())
            run = chance.lognormvariate(math.log(RUN_MEDIAN), RUN_SIGMA)
            group.create_task(callers.post("/v1/jobs", job(str(number), hook=hook, run=run)))


def job(number: str, *, hook: str, run: float) -> bytes:
    """A request for one that runs for so many seconds."""
    prompt = f"{number} make it a rainy evening sim:queue={QUEUE_SECONDS} sim:run={run:.3f}"
    return msgspec.json.encode(
        {
            "input": {"prompt": prompt, "image_urls": ["https://example.com/house.jpg"]},
            "callback_url": hook,
            "external_id": number,
            "metadata": {"team": "ads"},
        }
    )


async def arrivals(
    http: httpx.AsyncClient, stack: Stack, after: int, count: int
) -> list[tuple[dict[str, Any], datetime]]:
    """The jobs of so many webhooks after the first few, and when each came."""
    came: list[tuple[dict[str, Any], datetime]] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(came) < count:
            await asyncio.sleep(0.5)
            url = f"{stack.receiver_url}/_receiver/deliveries?after={after + len(came)}"
            for delivery in (await http.get(url, timeout=30)).json()["data"]:
                told = msgspec.json.decode(delivery["body"])["data"]
                assert delivery["verified"], delivery["reason"]
                assert told["status"] == "completed", told
                came.append((told, datetime.fromisoformat(delivery["at"])))
    return came


def main() -> None:
    progress("end_to_end: CPU per job, and from the end upstream to the webhook")
    with tempfile.TemporaryDirectory(prefix="edit-jobs-bench-") as folder:
        cost, late, reads = asyncio.run(measure(Path(folder)))
    percentiles = quantiles(late, n=100)
    cpu = {**cost, "together": sum(cost.values())}
    delay = {"p50": percentiles[49] * 1000, "p95": percentiles[94] * 1000}
    tell(
        "end_to_end",
        [
            ["per job", "found", "promised"],
            *([f"{part}, ms CPU", milliseconds, ""] for part, milliseconds in cost.items()),
            ["together, ms CPU", cpu["together"], "6"],
            ["end to webhook p50, ms", round(delay["p50"]), "350"],
            ["end to webhook p95, ms", round(delay["p95"]), "700"],
            ["status reads", fmean(reads), "5"],
        ],
        {"jobs": JOBS, "cpu_ms": cpu, "end_to_webhook_ms": delay, "status_reads": fmean(reads)},
    )


if __name__ == "__main__":
    main()
