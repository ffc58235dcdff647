"""The API, a sender and a stamper on one database, and a receiver that they may call."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
from harness.applications import application, client_of
from litestar import Litestar

from service.database import Database
from service.dev.receiver import Delivery, Receiver
from service.dev.receiver import running as running_receiver
from service.ids import uuid7
from service.settings import Settings
from service.tenants.issuing import Wish, issue
from service.tenants.keys import SCOPES
from service.tenants.tenant import Tenant
from service.webhooks import outbox, secrets
from service.webhooks.feed import Feed
from service.webhooks.sender import Sender

ENDPOINTS = "/v1/webhook-endpoints"
DELIVERIES = "/v1/webhook-deliveries"
BASE = "https://jobs.example"


class Levers:
    """What a tenant does, and what comes of it."""

    def __init__(self, app: Litestar, api: httpx.AsyncClient, database: Database, tenant: Tenant) -> None:
        self.app, self.api, self.database, self.tenant = app, api, database, tenant
        self.receiver = Receiver()
        self.hook = ""

    async def key(self, tenant: Tenant) -> dict[str, str]:
        async with self.database.transaction() as connection:
            wish = Wish(name="test", mode=tenant.mode, scopes=SCOPES)
            _, key = await issue(connection, tenant.id, wish, actor="test")
        return {"Authorization": f"Bearer {key}"}

    async def endpoint(self, query: str = "", **fields: Any) -> dict[str, Any]:
        """A new one at the receiver, at a URL of its own."""
        made = await self.api.post(ENDPOINTS, json={"url": f"{self.hook}?{query or uuid7()}"} | fields)
        assert made.status_code == 201, made.text
        self.receiver.trust(made.json()["secret"])
        shown: dict[str, Any] = made.json()
        return shown

    async def change(self, endpoint: dict[str, Any], **fields: Any) -> dict[str, Any]:
        answer = await self.api.patch(f"{ENDPOINTS}/{endpoint['id']}", json=fields)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    async def replay(self, endpoint: dict[str, Any], **fields: Any) -> int:
        window = {"since": "2026-01-01T00:00:00Z"} | fields
        if "since" not in fields:
            window["since"] = (
                datetime.now(UTC).replace(microsecond=0, second=0).isoformat()[:10] + "T00:00:00Z"
            )
        answer = await self.api.post(f"{ENDPOINTS}/{endpoint['id']}/replay", json=window)
        assert answer.status_code == 202, answer.text
        replayed: int = answer.json()["replayed"]
        return replayed

    async def tell(
        self, event: str = "job.completed", *, url: str | None = None, job_id: UUID | None = None, **more: Any
    ) -> outbox.Event:
        """Something happens to a job, of whose row nothing here takes notice."""
        told = outbox.Event(
            id=uuid7(),
            tenant_id=self.tenant.id,
            mode=self.tenant.mode,
            job_id=job_id or uuid7(),
            type=event,
            is_end=event != "job.submitted",
            sequence=5,
            body=json.dumps({"type": event, "data": {"n": 1} | more}).encode(),
        )
        async with self.database.transaction() as connection:
            await outbox.record(connection, told, url, now=None)
        return told

    async def came(self, endpoint: dict[str, Any], count: int) -> list[Delivery]:
        """What has come there, once it is so many."""

        def seen() -> list[Delivery]:
            query = endpoint["url"].partition("?")[2]
            return [one for one in self.receiver.deliveries if one.path.endswith(f"?{query}")]

        await until(lambda: len(seen()) >= count)
        return seen()

    async def log(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.api.get(DELIVERIES, params=query)
        assert answer.status_code == 200, answer.text
        listed: list[dict[str, Any]] = answer.json()["data"]
        return listed

    async def logged(self, status: str, count: int = 1, **query: Any) -> list[dict[str, Any]]:
        """The deliveries in that state, once there are so many."""
        async with asyncio.timeout(20):
            while len(found := await self.log(status=status, **query)) < count:
                await asyncio.sleep(0.02)
        return found

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker's sender and stamper, as they run there."""
        settings = self.app.state.settings
        sender = Sender.connect(self.database, settings, owner="worker")
        running = asyncio.create_task(sender.run())
        stamping = asyncio.create_task(Feed(self.database, tick_seconds=settings.tick_seconds).run())
        try:
            yield
        finally:
            await sender.stop()
            await running
            await sender.close()
            stamping.cancel()
            with suppress(asyncio.CancelledError):
                await stamping


@asynccontextmanager
async def levers_of(settings: Settings, database: Database, tenant: Tenant) -> AsyncIterator[Levers]:
    """All of it, with nothing running that sends."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(application(settings))
        app.state.settings = settings
        api = await stack.enter_async_context(client_of(app, BASE))
        levers = Levers(app, api, database, tenant)
        levers.hook = await stack.enter_async_context(running_receiver(levers.receiver)) + "/hook"
        api.headers.update(await levers.key(tenant))
        async with database.transaction() as connection:
            levers.receiver.trust(await secrets.issue(connection, settings.vault, tenant.id))
        yield levers


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)
