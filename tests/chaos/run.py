"""The chaos test: `python -m chaos.run`, in the folder `tests`.

Real processes, two API processes and two workers, under a load of scripted jobs, while faults are played.
When all faults are lifted and all is quiet, the promises are audited from outside. It prints what was done
and what came of it, and the whole story of every job that broke a promise; then it exits 1.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from chaos import faults, load, plants
from chaos.audit import Breach, audit
from chaos.evidence import Evidence, Looking
from chaos.plants import PLANTS, Planted
from chaos.story import story
from chaos.table import table

from service.dev.stack import Stack

TENANTS = 3
LIMIT = 100
SETTINGS = {
    "UPSTREAM_MAX_IN_FLIGHT": str(LIMIT),
    "LEASE_SECONDS": "3",
    "TICK_SECONDS": "0.5",
    "SUBMIT_DEADLINE_SECONDS": "3",
    # Enough attempts for a receiver that fails at first and is frozen later.
    "WEBHOOK_RETRY_SCHEDULE": "0,0.5,1,1,2,2,5,5,5,10,10,10,30,30",
}
QUIET_SECONDS = 240.0
"""For everything to end once all faults are lifted; retries wait up to a minute."""
STORIES = 10


def main() -> None:
    asked = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="edit-jobs-chaos-"))
    kept = uvloop.run(_run(asked, folder))
    if kept:
        shutil.rmtree(folder)
    else:
        _say(f"The logs are kept in {folder}.")
    sys.exit(not kept)


async def _run(asked: argparse.Namespace, folder: Path) -> bool:
    """Whether every promise was kept."""
    began = time.monotonic()
    kind = Planted.with_bug(asked.plant) if asked.plant else Stack
    async with kind(folder, workers=2, apis=2, settings=SETTINGS) as stack, load.caller() as http:
        if isinstance(stack, Planted):
            await stack.prepare()
        tenants = [await _tenant(stack, http, f"chaos-{number}") for number in range(TENANTS)]
        rand = random.Random(asked.seed)
        jobs = load.plan(rand, asked.jobs, tenants, receiver=stack.receiver_url)
        trouble = faults.Faults(stack, http)
        looking = Looking(stack, http, tenants)
        following = asyncio.create_task(looking.following.run())
        await _storm(asked, jobs, load.Load(stack.api_urls, http, rand), trouble)
        stormy = time.monotonic() - began
        settled = await looking.settled(seconds=asked.quiet)
        quiet = time.monotonic() - began
        following.cancel()
        evidence = await looking.collect(jobs)
        trouble.died.update(part.name for part in stack.parts if not part.running)
    breaches = audit(evidence, limit=LIMIT)
    breaches += [
        Breach("nothing dies by itself", None, f"{name} died {times} times, and nobody had killed it")
        for name, times in trouble.died.items()
    ]
    if not settled:
        breaches.append(Breach("quiet in the end", None, f"not all was over after {asked.quiet:g} s"))
    _say(table(evidence, trouble.played, breaches))
    _say(
        f"seed {asked.seed}: {stormy:.0f} s of storms, quiet after {quiet - stormy:.0f} s more,"
        f" {time.monotonic() - began:.0f} s in all"
    )
    _tell(evidence, breaches, trouble.played, folder)
    return not breaches


async def _storm(
    asked: argparse.Namespace, jobs: list[load.Asked], callers: load.Load, trouble: faults.Faults
) -> None:
    """All the jobs are asked for while all the faults are played; in the end all faults are lifted."""
    among = plants.FAULTS.get(asked.plant, [kind for kind in faults.KINDS if kind not in asked.without])
    rand = random.Random(asked.seed)
    storms = faults.plan(rand, asked.faults, storm=asked.storm, lull=asked.lull, among=among)
    progress = asyncio.create_task(_progress(callers, trouble, asked))
    async with asyncio.TaskGroup() as group:
        group.create_task(callers.run(jobs, seconds=storms[-1].at))
        group.create_task(trouble.run(storms))
    progress.cancel()


async def _tenant(stack: Stack, http: aiohttp.ClientSession, name: str) -> load.Tenant:
    made = await stack.create_tenant(name)
    key, path = await stack.create_key(name), f"/hook?endpoint={made.id}"
    asked: dict[str, Any] = {"json": {"url": stack.receiver_url + path}}
    asked["headers"] = {"authorization": f"Bearer {key}"}
    async with http.post(f"{stack.api_url}/v1/webhook-endpoints", **asked) as answer:
        assert answer.status == 201, await answer.text()
        registered = await answer.json()
    for secret in (made.signing_secret, registered["secret"]):
        async with http.post(f"{stack.receiver_url}/_receiver/secret", json={"secret": secret}) as answer:
            assert answer.status == 204, await answer.text()
    return load.Tenant(
        name=name,
        id=made.id,
        key=key,
        secret=made.signing_secret,
        endpoint=path,
        endpoint_secret=registered["secret"],
    )


async def _progress(callers: load.Load, trouble: faults.Faults, asked: argparse.Namespace) -> None:
    while True:
        await asyncio.sleep(10)
        sys.stderr.write(
            f"{callers.answered} of {asked.jobs} jobs asked for,"
            f" {len(trouble.played)} of {asked.faults} faults played\n"
        )


def _tell(evidence: Evidence, breaches: list[Breach], played: list[faults.Played], folder: Path) -> None:
    numbers = list(dict.fromkeys(breach.number for breach in breaches))
    for breach in breaches[:200]:
        _say(f"BROKEN  {breach.promise}: {breach.what}" + _of(breach.number))
    for number in [number for number in numbers if number is not None][:STORIES]:
        _say(story(evidence.cases[number], played, logs=folder))


def _of(number: int | None) -> str:
    return "" if number is None else f" (number {number})"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos.run", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--faults", type=int, default=1_000)
    parser.add_argument("--storm", type=int, nargs=2, default=(2, 6), help="faults in one storm")
    parser.add_argument("--lull", type=float, nargs=2, default=(1.0, 3.0), help="seconds between two storms")
    parser.add_argument("--without", choices=faults.KINDS, action="append", default=[], metavar="FAULT")
    parser.add_argument("--quiet", type=float, default=QUIET_SECONDS, help="seconds to wait for the end")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="a bug for the workers, to be found")
    asked = parser.parse_args()
    if min(asked.jobs, asked.faults) < 1:
        parser.error("there must be a job and a fault")
    return asked


if __name__ == "__main__":
    main()
