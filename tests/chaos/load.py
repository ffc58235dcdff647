"""The callers: what they ask for is planned by a seed, and what they were answered is written down.

A careful caller repeats a POST that got no answer, or a 5xx, with the same `Idempotency-Key`, at whichever
API it likes, until it knows. Some also repeat what was answered, some cancel, some read now and then.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

PICTURE = "https://pictures.example/samples/lake.png"
ANSWER_SECONDS = 8.0
PATIENCE_SECONDS = 120.0
"""For the answer to a POST, with all its repeats: no fault lasts that long."""

# Scripts of the simulator, and how many jobs in a hundred have them.
SCRIPTS = {
    "": 58,
    "sim:fail": 6,
    "sim:reject": 4,
    "sim:lost": 3,
    "sim:500": 3,
    "sim:refused": 3,
    "sim:busy=1": 4,
    "sim:html": 4,
    "sim:error200": 4,
    "sim:word": 4,
    "sim:blip": 3,
    "sim:notready": 3,
    "sim:stuck": 1,
}


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    id: str
    key: str
    secret: str
    endpoint: str
    """The path of the endpoint it has registered, which is told of every end."""
    endpoint_secret: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request was answered. `code` is None where no answer came; `job` is the job in it."""

    at: float
    call: str
    code: int | None
    says_when_to_ask_again: bool
    job: dict[str, Any] | None
    text: str


@dataclass(slots=True)
class Asked:
    """One job as its caller knows it; `number` is in its prompt, its external id and its key."""

    number: int
    tenant: Tenant
    body: dict[str, Any]
    posts_at_once: int
    posts_again: bool
    cancels_after: float | None
    reads_after: float | None
    answers: list[Answer] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"chaos-{self.number}"

    @property
    def accepted(self) -> set[str]:
        """The ids of the jobs that a 2xx to its POSTs named."""
        posts = (answer for answer in self.answers if answer.call == "POST" and answer.job)
        return {answer.job["id"] for answer in posts if answer.job}


def plan(rand: random.Random, jobs: int, tenants: Sequence[Tenant], *, receiver: str) -> list[Asked]:
    """What is going to be asked; the same for the same seed."""
    return [_asked(rand, number, rand.choice(tenants), receiver) for number in range(jobs)]


class Load:
    """Plays a plan against several API processes."""

    def __init__(self, apis: Sequence[str], http: aiohttp.ClientSession, rand: random.Random) -> None:
        self._apis = apis
        self._http = http
        self._rand = rand
        self.answered = 0

    async def run(self, asked: Sequence[Asked], *, seconds: float) -> None:
        """Begin the jobs evenly over so many seconds; returns when each caller is done."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as callers:
            for place, job in enumerate(asked):
                await asyncio.sleep(began + seconds * place / len(asked) - time.monotonic())
                callers.create_task(self._call(job))

    async def _call(self, job: Asked) -> None:
        known = await asyncio.gather(*(self._accept(job) for _ in range(job.posts_at_once)))
        self.answered += 1
        job_id = next((one for one in known if one), None)
        if job_id is None:
            return
        async with asyncio.TaskGroup() as rest:
            if job.posts_again:
                rest.create_task(self._later(self._rand.uniform(0, 2), self._accept(job)))
            if job.cancels_after is not None:
                cancel = self._ask(job, "POST", f"/v1/jobs/{job_id}/cancel", call="cancel")
                rest.create_task(self._later(job.cancels_after, cancel))
            if job.reads_after is not None:
                rest.create_task(self._later(job.reads_after, self._ask(job, "GET", f"/v1/jobs/{job_id}")))

    async def _later(self, seconds: float, then: Any) -> None:
        await asyncio.sleep(seconds)
        await then

    async def _accept(self, job: Asked) -> str | None:
        """POST until it is known what became of it; the job's id, or None when it was refused."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            answer = await self._ask(job, "POST", "/v1/jobs", body=job.body)
            if answer.code is not None and answer.code < 500:
                return answer.job["id"] if answer.job else None
            await asyncio.sleep(self._rand.uniform(0.1, 0.6))
        return None

    async def _ask(self, job: Asked, method: str, path: str, *, body: Any = None, call: str = "") -> Answer:
        headers = {"authorization": f"Bearer {job.tenant.key}"}
        if body is not None:
            headers |= {"idempotency-key": job.key, "content-type": "application/json"}
        content = None if body is None else msgspec.json.encode(body)
        url = self._rand.choice(self._apis) + path
        try:
            async with self._http.request(method, url, headers=headers, data=content) as response:
                code, text = response.status, await response.text()
                later = "retry-after" in response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            code, text, later = None, repr(error), False
        found = msgspec.json.decode(text) if code is not None and 200 <= code < 300 else None
        answer = Answer(time.time(), call or method, code, later, found, text[:300])
        job.answers.append(answer)
        return answer


def caller() -> aiohttp.ClientSession:
    """Not httpx: with hundreds of requests at once its own pool takes longer than what is tested."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
    )


def _asked(rand: random.Random, number: int, tenant: Tenant, receiver: str) -> Asked:
    script = rand.choices(list(SCRIPTS), list(SCRIPTS.values()))[0]
    pace = f"sim:queue={rand.uniform(0.05, 0.5):.2f} sim:run={rand.uniform(0.1, 1.0):.2f}"
    body: dict[str, Any] = {
        "input": {
            "prompt": " ".join(filter(None, (f"chaos {number}", pace, script))),
            "image_urls": [PICTURE],
        },
        "external_id": str(number),
        "expires_in": 10 if script == "sim:stuck" else 3600,
    }
    # Not of one that is lost each time: it would be paid for without end.
    if rand.random() < 0.3 and script != "sim:lost":
        body["on_unconfirmed"] = "resubmit"
    if rand.random() < 0.97:
        # The receiver fails at first for some; the tenant in the URL tells whose secret must have signed.
        trouble = rand.choices(("", "&status=500&times=1", "&status=500&times=2"), (94, 4, 2))[0]
        body["callback_url"] = f"{receiver}/hook?tenant={tenant.id}{trouble}"
        if rand.random() < 0.1:
            ends = ["job.completed", "job.failed", "job.cancelled", "job.expired"]
            body["callback_events"] = [*ends, "job.submitted", "job.in_progress"]
    cancels = rand.choices((None, 0.0, rand.uniform(0.1, 1.5)), (88, 6, 6))[0]
    return Asked(
        number=number,
        tenant=tenant,
        body=body,
        posts_at_once=2 if rand.random() < 0.03 else 1,
        posts_again=rand.random() < 0.05,
        cancels_after=cancels,
        reads_after=rand.uniform(0, 6) if rand.random() < 0.3 else None,
    )
