"""The main job on real processes, seen from outside: what callers are answered, what receivers get."""

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession, TCPConnector
from standardwebhooks import Webhook

from service.dev.stack import Stack

ENDS = {"completed", "failed", "cancelled", "expired"}
WITNESS = Path(__file__).parent / "node"


@dataclass
class Caller:
    """A backend of one tenant."""

    http: ClientSession
    secret: str
    hook: str

    async def post(self, prompt: str, **fields: Any) -> dict[str, Any]:
        inputs = {"prompt": prompt, "image_urls": ["https://pictures.example/samples/lake.png"]}
        body = {"input": inputs, "callback_url": self.hook} | fields
        async with self.http.post("/v1/jobs", json=body) as answer:
            assert answer.status == 202, await answer.text()
            job: dict[str, Any] = await answer.json()
        return job

    async def read(self, job: dict[str, Any]) -> dict[str, Any]:
        async with self.http.get(f"/v1/jobs/{job['id']}") as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
        return found

    async def until(self, job: dict[str, Any], statuses: set[str], seconds: float = 30) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while (found := await self.read(job))["status"] not in statuses:
                await asyncio.sleep(0.05)
        return found


@pytest.fixture
async def caller(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    async with call(stack, request.node.name[:100]) as one:
        yield one


class call:  # noqa: N801  reads as a verb where it is used
    """A new tenant of a stack, with a key of its own."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack = stack
        self._name = name

    async def __aenter__(self) -> Caller:
        tenant = await self._stack.create_tenant(self._name)
        key = await self._stack.create_key(tenant.name)
        # Not httpx: with many requests at once its own pool takes more time than all that is tested.
        self._http = ClientSession(
            self._stack.api_url,
            headers={"authorization": f"Bearer {key}"},
            connector=TCPConnector(limit=50),
        )
        # A path of its own, so that the deliveries of one test are told from those of another.
        hook = f"{self._stack.receiver_url}/hook?tenant={tenant.id}"
        return Caller(http=self._http, secret=tenant.signing_secret, hook=hook)

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()


async def received(stack: Stack, caller: Caller, count: int, seconds: float = 60) -> list[dict[str, Any]]:
    """What the receiver got for this caller, once it is so many."""
    async with httpx.AsyncClient() as client, asyncio.timeout(seconds):
        while True:
            answer = await client.get(f"{stack.receiver_url}/_receiver/deliveries")
            mine = [one for one in answer.json()["data"] if one["path"] in caller.hook]
            if len(mine) >= count:
                return mine
            await asyncio.sleep(0.1)


async def test_300_jobs_at_once_all_end_and_each_is_told_once_with_a_signature_that_verifies(
    stack: Stack, caller: Caller
) -> None:
    jobs = await asyncio.gather(*(caller.post(f"boat {n} sim:queue=0.1 sim:run=0.3") for n in range(300)))
    ends = await asyncio.gather(*(caller.until(job, ENDS, seconds=60) for job in jobs))
    assert Counter(job["status"] for job in ends) == {"completed": 300}
    deliveries = await received(stack, caller, 300)
    told = Counter(json.loads(delivery["body"])["data"]["id"] for delivery in deliveries)
    assert told == Counter(job["id"] for job in jobs)
    verifier = Webhook(caller.secret)
    for delivery in deliveries:
        verifier.verify(delivery["body"], delivery["headers"])
    await verified_by_node(caller.secret, deliveries)


async def test_a_killed_worker_that_is_started_again_goes_on_with_its_jobs(
    stack: Stack, caller: Caller
) -> None:
    jobs = [await caller.post(f"kill {n} sim:queue=0.1 sim:run=4") for n in range(20)]
    for job in jobs:
        await caller.until(job, {"in_queue", "in_progress"})
    await asyncio.to_thread(stack.workers[0].kill)
    assert {(await caller.read(job))["status"] for job in jobs} <= {"in_queue", "in_progress"}
    await asyncio.to_thread(stack.workers[0].start)
    for job in jobs:
        assert (await caller.until(job, ENDS))["status"] == "completed"
    await received(stack, caller, 20)
    prompts = Counter(one["prompt"] for one in await submits(stack) if one["prompt"].startswith("kill "))
    assert prompts == Counter({f"kill {n} sim:queue=0.1 sim:run=4": 1 for n in range(20)})


async def test_two_workers_never_exceed_the_limit_with_1000_jobs_waiting() -> None:
    with tempfile.TemporaryDirectory(prefix="edit-jobs-limit-") as folder:
        async with (
            Stack(Path(folder), workers=2, settings={"UPSTREAM_MAX_IN_FLIGHT": "100"}) as stack,
            call(stack, "many") as caller,
        ):
            for worker in stack.workers:
                worker.freeze()
            prompt = "many sim:queue=0.1 sim:run=0.4"
            await asyncio.gather(*(caller.post(f"{n} {prompt}") for n in range(1000)))
            for worker in stack.workers:
                worker.thaw()
            await received(stack, caller, 1000, seconds=90)
            async with httpx.AsyncClient() as client:
                stats = (await client.get(f"{stack.simulator_url}/_sim/stats")).json()
            assert stats["calls"]["submit"] == stats["taken"] == 1000
            assert 50 < stats["highest_in_flight"] <= 100


async def test_what_ends_a_job_is_told_in_its_error_and_in_its_webhook(stack: Stack, caller: Caller) -> None:
    failed = await caller.until(await caller.post("sim:fail sim:queue=0 sim:run=0.2"), ENDS)
    lost = await caller.until(await caller.post("sim:lost"), ENDS)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "upstream_failed")
    assert (lost["status"], lost["error"]["code"]) == ("failed", "submission_unconfirmed")
    assert (lost["error"]["may_be_charged"], lost["error"]["retryable"]) == (True, False)
    deliveries = await received(stack, caller, 2)
    told = {event["id"]: event for event in (json.loads(one["body"])["data"] for one in deliveries)}
    assert told[failed["id"]]["error"] == failed["error"]
    assert told[lost["id"]]["error"] == lost["error"]


async def test_with_redis_gone_jobs_are_accepted_and_go_on(stack: Stack, caller: Caller) -> None:
    await asyncio.to_thread(stack.redis.kill)
    try:
        job = await caller.post("no bells sim:queue=0 sim:run=0.2")
        assert (await caller.until(job, ENDS))["status"] == "completed"
    finally:
        await asyncio.to_thread(stack.redis.start)
    job = await caller.post("bells again sim:queue=0 sim:run=0.2")
    assert (await caller.until(job, ENDS))["status"] == "completed"


async def submits(stack: Stack) -> list[dict[str, Any]]:
    async with httpx.AsyncClient() as client:
        seen: list[dict[str, Any]] = (await client.get(f"{stack.simulator_url}/_sim/requests")).json()
    return seen


async def verified_by_node(secret: str, deliveries: list[dict[str, Any]]) -> None:
    """The same deliveries, verified by the package of the same name on npm."""
    if shutil.which("npm") is None:
        pytest.skip("verified with Python's package; the npm package needs Node.js, which is not here")
    with tempfile.TemporaryDirectory(prefix="edit-jobs-node-") as folder:
        shutil.copytree(WITNESS, folder, dirs_exist_ok=True)
        await run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent", folder=folder)
        given = json.dumps({"secret": secret, "deliveries": deliveries})
        printed = await run("node", "verify.mjs", folder=folder, given=given)
        assert printed.strip() == f"{len(deliveries)} verified, a changed body refused"


async def run(*command: str, folder: str, given: str = "") -> str:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe)
    printed, said = await child.communicate(given.encode())
    assert child.returncode == 0, said.decode()
    return printed.decode()
