"""A worker is killed with 300 jobs under way: how soon the other one goes on, and what it costs.

Two workers with the usual lease and tick; jobs run for 6 s upstream. Once all are under way one worker gets
kill -9. Prints a table, and the same as JSON.
"""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from service.dev.stack import Stack, Tenant

JOBS = 300
RUN_SECONDS = 6
PICTURE = "https://pictures.example/samples/lake.png"
PATIENCE_SECONDS = 60.0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="edit-jobs-recovery-") as folder:
        figures = uvloop.run(_measure(Path(folder)))
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<48}{value:>8}")
    print(json.dumps(figures))


async def _measure(folder: Path) -> dict[str, float]:
    settings = {"UPSTREAM_MAX_IN_FLIGHT": str(JOBS)}
    async with Stack(folder, workers=2, settings=settings) as stack:
        tenant = await stack.create_tenant("recovery")
        key = await stack.create_key(tenant.name)
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as http:
            return await _recover(stack, http, tenant)


async def _recover(stack: Stack, http: aiohttp.ClientSession, tenant: Tenant) -> dict[str, float]:
    secret = {"secret": tenant.signing_secret}
    (await http.post(f"{stack.receiver_url}/_receiver/secret", json=secret)).release()
    jobs = await asyncio.gather(*(_post(stack, http, number) for number in range(JOBS)))
    await _until_all_are_under_way(stack, http)
    killed = time.time()
    await asyncio.to_thread(stack.workers[0].kill)
    deliveries = await _until_all_are_told(stack, http)
    survivor = stack.workers[1].output.splitlines()
    taken_over = [line for line in map(json.loads, survivor) if line["event"] == "job.taken_over"]
    submits = await _json(http, f"{stack.simulator_url}/_sim/requests")
    upstream = [_unix(submit["course"]["finished_at"]) for submit in submits if submit["course"]]
    told = Counter(json.loads(delivery["body"])["data"]["id"] for delivery in deliveries)
    per_prompt = Counter(submit["prompt"] for submit in submits)
    return {
        "jobs": JOBS,
        "jobs_of_the_killed_worker": len(taken_over),
        "seconds_until_they_were_taken_over": _last((line["timestamp"] for line in taken_over), killed),
        "seconds_until_the_upstream_had_finished": round(max(upstream) - killed, 2),
        "seconds_until_the_last_webhook": _last((delivery["at"] for delivery in deliveries), killed),
        "jobs_lost": len({job["id"] for job in jobs} - set(told)),
        "webhooks_more_than_one": told.total() - len(told),
        "webhooks_not_verified": sum(not delivery["verified"] for delivery in deliveries),
        "submits_more_than_one": per_prompt.total() - len(per_prompt),
    }


async def _post(stack: Stack, http: aiohttp.ClientSession, number: int) -> dict[str, Any]:
    prompt = f"recovery {number} sim:queue=0 sim:run={RUN_SECONDS}"
    body = {
        "input": {"prompt": prompt, "image_urls": [PICTURE]},
        "callback_url": f"{stack.receiver_url}/hook",
    }
    async with http.post(f"{stack.api_url}/v1/jobs", json=body) as answer:
        assert answer.status == 202, await answer.text()
        job: dict[str, Any] = await answer.json()
    return job


async def _until_all_are_under_way(stack: Stack, http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        waiting = f"{stack.api_url}/v1/jobs?status=accepted,submitting&limit=1"
        while (await _json(http, waiting))["data"]:  # noqa: ASYNC110  seen from outside, there is no event
            await asyncio.sleep(0.02)


async def _until_all_are_told(stack: Stack, http: aiohttp.ClientSession) -> Sequence[dict[str, Any]]:
    """What the receiver has in the end; what is missing after a minute is lost."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        deliveries: list[dict[str, Any]] = (await _json(http, f"{stack.receiver_url}/_receiver/deliveries"))[
            "data"
        ]
        if len(deliveries) >= JOBS or time.monotonic() > until:
            return deliveries
        await asyncio.sleep(0.1)


async def _json(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def _last(moments: Any, since: float) -> float:
    return round(max(map(_unix, moments)) - since, 2)


def _unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


if __name__ == "__main__":
    main()
