"""What can be seen from outside once it is quiet: each job over the API, and the notes of the two witnesses.

`settled` waits for the quiet; `collect` reads everything, jobs twice, and each one also as a stranger.
"""

import asyncio
import hashlib
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from chaos.following import Following
from chaos.load import Asked, Tenant

from service.dev.stack import Stack

ENDS = ("completed", "failed", "cancelled", "expired")
END_ENTRIES = {f"job.{end}" for end in ENDS}
LIVE = "accepted,submitting,in_queue,in_progress"
AT_ONCE = 16
PAGE = 200
LOOK_SECONDS = 0.5
TRIES = 10
NUMBER = re.compile(r"chaos (\d+)\b")

Document = dict[str, Any]


@dataclass(slots=True)
class Case:
    """All that is known of one number: what its caller knows, and what became of it."""

    asked: Asked
    listed: list[Document] = field(default_factory=list)
    """The jobs of this number, as the lists show them; there should be one."""
    job: Document | None = None
    """The same job, read again by itself."""
    timeline: list[Document] = field(default_factory=list)
    seen_by_a_stranger: int = 0
    """What another tenant's GET is answered."""
    submits: list[Document] = field(default_factory=list)
    deliveries: list[Document] = field(default_factory=list)
    fed: list[Document] = field(default_factory=list)
    """Its events, as its tenant's feed showed them one after the other while all went on."""

    @property
    def types(self) -> list[str]:
        return [entry["type"] for entry in self.timeline]

    @property
    def unconfirmed(self) -> int:
        """Submits that the job itself says nobody knows about."""
        again = sum(entry["data"].get("unconfirmed") is True for entry in self.timeline)
        ended = (self.job or {}).get("error") or {}
        return again + (ended.get("code") == "submission_unconfirmed")


@dataclass(slots=True)
class Evidence:
    cases: list[Case]
    strays: list[str]
    """What the simulator, the receiver or a list has and nobody asked for."""
    most_in_flight: int


class Looking:
    """Reads with each tenant's key."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, tenants: Sequence[Tenant]) -> None:
        self._stack = stack
        self._http = http
        self._tenants = tenants
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.following = Following(self._get_path, tenants)

    async def settled(self, *, seconds: float) -> bool:
        """Wait until every job has ended and nothing is left to deliver; False if that takes too long."""
        until = time.monotonic() + seconds
        while True:
            live = Counter[str]()
            for tenant in self._tenants:
                live.update([job["status"] async for job in self._list(tenant, f"status={LIVE}&")])
            if not live:
                for tenant in self._tenants:
                    live.update([one["status"] async for one in self._undelivered(tenant)])
            if not live:
                for tenant in self._tenants:
                    ended = {job["id"] async for job in self._list(tenant)}
                    live["not on the feed"] += len(ended - self._ends_on_feed(tenant))
                live += Counter()  # without zeros
            if not live:
                return True
            sys.stderr.write(f"waiting: {dict(live)}\n")
            if time.monotonic() > until:
                return False
            await asyncio.sleep(LOOK_SECONDS)

    async def collect(self, asked: Sequence[Asked]) -> Evidence:
        cases = [Case(one) for one in asked]
        strays: list[str] = []
        numbers: dict[str, int] = {}
        for tenant in self._tenants:
            async for job in self._list(tenant):
                number = _number(job["input"]["prompt"])
                numbers[job["id"]] = number
                if number < len(cases) and cases[number].asked.tenant is tenant:
                    cases[number].listed.append(job)
                else:
                    strays.append(f"{tenant.name} is shown a job that it never asked for: {job['id']}")
        await self._read_feeds(cases, strays, numbers)
        await self._read_requests(cases, strays)
        await self._read_deliveries(cases, strays, numbers)
        async with asyncio.TaskGroup() as group:
            for case in cases:
                group.create_task(self._read(case))
        return Evidence(cases, strays, await self._most_in_flight())

    async def _read(self, case: Case) -> None:
        ids = {job["id"] for job in case.listed} | case.asked.accepted
        if not ids:
            return
        job_id = min(ids)
        tenant = case.asked.tenant
        stranger = next(other for other in self._tenants if other is not tenant)
        url = f"{self._stack.api_url}/v1/jobs/{job_id}"
        code, job = await self._get(url, tenant)
        case.job = job if code == 200 else None
        code, entries = await self._get(f"{url}/events", tenant)
        case.timeline = entries["data"] if code == 200 else []
        answered = {
            (await self._get(url, stranger))[0],
            (await self._get(f"{url}/events", stranger))[0],
        }
        case.seen_by_a_stranger = max(answered, key=lambda code: code != 404)

    async def _read_feeds(self, cases: list[Case], strays: list[str], numbers: dict[str, int]) -> None:
        for tenant in self._tenants:
            again = Following(self._get_path, [tenant])
            await again.read_on(tenant)
            await self.following.read_on(tenant)
            seen = self.following.seen[tenant.name]
            if seen != again.seen[tenant.name]:
                strays.append(f"the feed of {tenant.name} is not what it was to who had read it before")
            for event in seen:
                number = numbers.get(event["data"]["id"])
                if number is None or cases[number].asked.tenant is not tenant:
                    strays.append(f"the feed of {tenant.name} has an event about no job of it: {event}")
                else:
                    cases[number].fed.append(event)

    async def _read_requests(self, cases: list[Case], strays: list[str]) -> None:
        async with self._http.get(f"{self._stack.simulator_url}/_sim/requests") as answer:
            submits = await answer.json()
        for submit in submits:
            number = _number(submit["prompt"] or "")
            if number < len(cases):
                cases[number].submits.append(submit)
            else:
                strays.append(f"the upstream was asked for what nobody wanted: {submit}")

    async def _read_deliveries(self, cases: list[Case], strays: list[str], numbers: dict[str, int]) -> None:
        async with self._http.get(f"{self._stack.receiver_url}/_receiver/deliveries") as answer:
            deliveries = (await answer.json())["data"]
        for delivery in deliveries:
            # Found without parsing: a body that cannot be parsed is for the audit to find.
            about = re.search(r'"id":"([0-9a-f-]{36})"', delivery["body"])
            number = numbers.get(about[1]) if about else None
            if number is None:
                strays.append(f"a webhook about no job of ours: {delivery}")
            else:
                cases[number].deliveries.append(delivery)

    async def _most_in_flight(self) -> int:
        async with self._http.get(f"{self._stack.simulator_url}/_sim/stats") as answer:
            most: int = (await answer.json())["highest_in_flight"]
        return most

    def _list(self, tenant: Tenant, query: str = "") -> AsyncIterator[Document]:
        return self._pages("/v1/jobs", tenant, query)

    def _undelivered(self, tenant: Tenant) -> AsyncIterator[Document]:
        return self._pages("/v1/webhook-deliveries", tenant, "status=pending,delivering&")

    def _ends_on_feed(self, tenant: Tenant) -> set[str]:
        events = self.following.seen[tenant.name]
        return {event["data"]["id"] for event in events if event["data"]["finished_at"]}

    async def _pages(self, path: str, tenant: Tenant, query: str) -> AsyncIterator[Document]:
        cursor = ""
        while True:
            code, page = await self._get_path(f"{path}?{query}limit={PAGE}{cursor}", tenant)
            assert code == 200, page
            for document in page["data"]:
                yield document
            if page["next_cursor"] is None:
                return
            cursor = f"&cursor={page['next_cursor']}"

    async def _get_path(self, path: str, tenant: Tenant) -> tuple[int, Any]:
        return await self._get(self._stack.api_url + path, tenant)

    async def _get(self, url: str, tenant: Tenant) -> tuple[int, Any]:
        """As any caller does: a 503 that says when to ask again is asked again."""
        headers = {"authorization": f"Bearer {tenant.key}"}
        for _ in range(TRIES):
            async with self._slots, self._http.get(url, headers=headers) as answer:
                code, document = answer.status, await answer.json(content_type=None)
                pause = float(answer.headers.get("retry-after", 0))
            if code != 503 or not pause:
                break
            await asyncio.sleep(pause)
        return code, document


def digest(body: str) -> str:
    """Tells bodies apart in a story."""
    return hashlib.sha256(body.encode()).hexdigest()[:12]


def _number(prompt: str) -> int:
    found = NUMBER.match(prompt)
    return int(found[1]) if found else 1 << 60
