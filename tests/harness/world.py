"""An engine in this process and all that is around it: real Postgres and Redis, simulator and receiver."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec

from service.clock import postgres_time
from service.database import Database
from service.dev.receiver import Receiver
from service.dev.receiver import running as running_receiver
from service.dev.simulator import Options
from service.dev.simulator import running as running_simulator
from service.dev.stack import API_ROLE
from service.encryption import Vault
from service.jobs.cancel import cancel
from service.jobs.job import Job
from service.jobs.lifecycle import ENDS, Status
from service.jobs.pace import Pace
from service.jobs.store import reads
from service.queue import Bell
from service.settings import Settings
from service.tenants.tenant import Tenant
from service.tenants.tokens import Trouble, troubles
from service.webhooks.secrets import issue
from service.worker.engine import Engine
from service.worker.hearing import hear

Accepting = Callable[..., Awaitable[Job]]
KEY = base64.b64encode(os.urandom(32)).decode()
QUICK = Pace(cost=4e-5, shortest=0.05, longest=0.5)
"""The first read after 0.05 s."""
PUBLIC = "http://api.example"


class World:
    """A running engine and all that is around it."""

    def __init__(self, settings: Settings, database: Database, tenant: Tenant, accepted: Accepting) -> None:
        self.settings = settings
        self.database = database
        self.tenant = tenant
        self.bell = Bell(settings.redis_url)
        self.receiver = Receiver()
        self.hook = ""
        self._accepted = accepted
        self._engines: list[tuple[Engine, asyncio.Task[None]]] = []

    def start(self, *, pace: Pace = QUICK, **changed: Any) -> Engine:
        settings = self.settings.model_copy(update=changed)
        engine = Engine(settings, pace=pace)
        engine.start()
        self._engines.append((engine, asyncio.create_task(hear(engine, settings))))
        return engine

    async def stop(self, engine: Engine) -> None:
        (hearing,) = [task for running, task in self._engines if running is engine]
        self._engines = [pair for pair in self._engines if pair[0] is not engine]
        hearing.cancel()
        await asyncio.wait([hearing])
        await engine.stop()

    async def close(self) -> None:
        for engine, _ in list(self._engines):
            await self.stop(engine)
        await self.bell.close()

    async def accept(self, prompt: str, **fields: Any) -> Job:
        inputs = {"prompt": prompt, "image_urls": ["https://pictures.example/samples/lake.png"]}
        job = await self._accepted(input=inputs, callback_url=self.hook, **fields)
        self.bell.ring()
        return job

    async def read(self, job: Job) -> Job:
        async with self.database.statement() as connection:
            found = await reads.find(connection, owner(job), job.id)
        assert found is not None
        return found

    async def until(self, job: Job, *statuses: Status, seconds: float = 15) -> Job:
        async with asyncio.timeout(seconds):
            while (found := await self.read(job)).status not in statuses:
                await asyncio.sleep(0.02)
        return found

    async def ended(self, job: Job, seconds: float = 15) -> Job:
        return await self.until(job, *ENDS, seconds=seconds)

    async def told(self, count: int, seconds: float = 10) -> list[dict[str, Any]]:
        async with asyncio.timeout(seconds):
            while len(self.receiver.deliveries) < count:
                await asyncio.sleep(0.02)
        assert all(delivery.verified for delivery in self.receiver.deliveries)
        return [msgspec.json.decode(delivery.body) for delivery in self.receiver.deliveries]

    async def types(self, job: Job) -> list[str]:
        async with self.database.statement() as connection:
            return [entry.type for entry in await reads.timeline(connection, owner(job), job.id)]

    async def cancel(self, job: Job, *, hold: float = 5.0) -> Job:
        return await cancel(
            self.database,
            owner(job),
            job.id,
            bell=self.bell,
            clock=postgres_time,
            public_url=PUBLIC,
            hold=hold,
        )

    async def stats(self) -> dict[str, Any]:
        async with httpx.AsyncClient() as client:
            answer: dict[str, Any] = (await client.get(f"{self.settings.upstream_url}/_sim/stats")).json()
        return answer

    async def submits(self) -> list[dict[str, Any]]:
        async with httpx.AsyncClient() as client:
            answer: list[dict[str, Any]] = (
                await client.get(f"{self.settings.upstream_url}/_sim/requests")
            ).json()
        return answer

    async def troubles(self) -> list[Trouble]:
        async with self.database.statement() as connection:
            return await troubles(connection)

    async def fault(self, **faults: Any) -> None:
        async with httpx.AsyncClient() as client:
            await client.post(f"{self.settings.upstream_url}/_sim/faults", json=faults)


def owner(job: Job) -> Tenant:
    """Whose job it is, as a key for it reaches it."""
    return Tenant(id=job.tenant_id, mode="live" if job.mode == "live" else "test")


@asynccontextmanager
async def a_world(
    database_url: str, redis_url: str, database: Database, tenant: Tenant, accepted: Accepting
) -> AsyncIterator[World]:
    """A world whose jobs take 0.3 s upstream; nothing runs in it before `start`."""
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            running_simulator(Options(queue_seconds=0.1, run_seconds=0.2))
        )
        settings = Settings(
            database_url=database_url,
            api_database_url=database_url.replace("postgres@", f"{API_ROLE}@"),
            redis_url=redis_url,
            upstream_url=simulator,
            upstream_token="tok",
            public_url=PUBLIC,
            secret_key=KEY,
            webhook_allowed_networks="127.0.0.0/8",
            lease_seconds=2,
            tick_seconds=0.2,
            submit_deadline_seconds=2,
        )
        world = World(settings, database, tenant, accepted)
        world.hook = await stack.enter_async_context(running_receiver(world.receiver)) + "/hook"
        async with database.transaction() as connection:
            world.receiver.trust(await issue(connection, Vault.from_text(KEY), tenant.id))
        stack.push_async_callback(world.close)
        yield world
