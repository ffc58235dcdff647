"""A sender in this process with all that is around it: receivers, a clock that stands still, endpoints."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from aiohttp import web
from sqlalchemy import text

from service.backoff import Random
from service.database import Database
from service.dev.serving import serving
from service.encryption import Vault
from service.http import Transport
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks import outbox
from service.webhooks.addresses import judge
from service.webhooks.outbox import Event
from service.webhooks.rules import Rules
from service.webhooks.schedule import Delivered, Outcome, verdict
from service.webhooks.secrets import issue
from service.webhooks.sender import Sender
from service.webhooks.store import Claimed, Record, again
from service.webhooks.store.settle import Ended
from service.webhooks.turn import Turn, take_turn

LOOPBACK = [ip_network("127.0.0.0/8")]
LANE_SLOTS = 4
RULES = Rules(
    waits=(0, 5, 300),
    deadline=10.0,
    slots=200,
    lane_slots=LANE_SLOTS,
    breaker_failures=5,
    breaker_first=30.0,
    breaker_longest=1800.0,
    disable_after=5 * 86400.0,
    disable_events=3,
    disable_apart=12 * 3600.0,
)
BODY = b'{"type": "job.completed",  "data": {"prompt": "caf\xc3\xa9"}}'
PATIENCE = 10.0
"""Seconds after which a test that waits for a POST has failed."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.on_read: Callable[[], object] = lambda: None

    def __call__(self) -> datetime:
        self.on_read()
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Post:
    """One POST as a receiver got it."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self.path = request.path
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.body = body

    @property
    def number(self) -> tuple[str, str]:
        return self.headers["webhook-id"], self.headers["webhook-attempt"]


class Hooks:
    """A receiver: keeps what comes, and answers as it is told to."""

    def __init__(self) -> None:
        self.posts: asyncio.Queue[Post] = asyncio.Queue()
        self.answer: Answer = answering(204)
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.posts.put_nowait(Post(request, await request.read()))
        return await self.answer(request)

    async def next(self) -> Post:
        return await asyncio.wait_for(self.posts.get(), PATIENCE)

    async def next_ones(self, count: int) -> list[Post]:
        return [await self.next() for _ in range(count)]


def answering(status: int, body: bytes = b"", **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return answer


@asynccontextmanager
async def listening() -> AsyncIterator[Hooks]:
    hooks, application = Hooks(), web.Application()
    application.add_routes([web.post("/{path:.*}", hooks.handle)])
    async with serving(application, host="127.0.0.1", port=0) as url:
        hooks.url = url + "/hook"
        yield hooks


class Senders:
    """Makes senders that run until the block ends, and what they are to send."""

    def __init__(self, database: Database, vault: Vault, tenant: Tenant, clock: Callable[[], Any]) -> None:
        self._database, self._vault, self._tenant, self._clock = database, vault, tenant, clock
        self.rules = RULES
        self.secrets: dict[UUID, str] = {}

    @asynccontextmanager
    async def running(
        self,
        *,
        name: str = "one",
        transport: Transport | None = None,
        deadline: float = PATIENCE,
        rand: Random = lambda: 0.0,
    ) -> AsyncIterator[Sender]:
        """At the end of the block all attempts that were begun are settled."""
        async with transport or Transport(judge=judge(LOOPBACK)) as connections:
            sender = Sender(
                self._database,
                transport=connections,
                vault=self._vault,
                owner=name,
                rules=replace(self.rules, deadline=deadline),
                tick_seconds=60,  # what is sent is sent because somebody woke the sender, not by the tick
                clock=self._clock,
                rand=rand,
            )
            loop = asyncio.create_task(sender.run())
            try:
                yield sender
                await sender.stop()
                await loop
            finally:
                loop.cancel()
                with suppress(asyncio.CancelledError):
                    await loop

    async def tell(self, url: str | None, *, tenant: Tenant | None = None) -> Event:
        """End some job and record it, as of now."""
        owner = tenant or self._tenant
        event = Event(
            id=uuid7(),
            tenant_id=owner.id,
            mode=owner.mode,
            job_id=uuid7(),
            type="job.completed",
            is_end=True,
            sequence=5,
            body=BODY,
        )
        async with self._database.transaction() as connection:
            await outbox.record(connection, event, url, now=self._clock())
        return event

    async def endpoint(
        self,
        url: str,
        *,
        events: Sequence[str] = ("job.completed",),
        tenant: Tenant | None = None,
        mode: str = "live",
    ) -> UUID:
        """Register one; what signs for it is in `secrets`."""
        endpoint_id, owner = uuid7(), tenant or self._tenant
        given = {
            "id": endpoint_id,
            "tenant_id": owner.id,
            "mode": mode,
            "url": url,
            "events": list(events),
        }
        async with self._database.transaction() as connection:
            await connection.execute(
                text(
                    "INSERT INTO webhook_endpoints (id, tenant_id, mode, url, description, events, signing)"
                    " VALUES (:id, :tenant_id, :mode, :url, '', :events, 'v1')"
                ),
                given,
            )
            self.secrets[endpoint_id] = await issue(
                connection, self._vault, owner.id, endpoint_id=endpoint_id
            )
        return endpoint_id

    async def enable(self, endpoint_id: UUID) -> None:
        """As its tenant would do it."""
        await self.execute(
            "UPDATE webhook_endpoints SET disabled_at = NULL, disabled_reason = NULL, failing_since = NULL,"
            f" succeeded_at = NULL, failed_events = 0 WHERE id = '{endpoint_id}'"
        )
        async with self._database.transaction() as connection:
            await again.release(connection, self._tenant, endpoint_id, now=self._clock())

    async def endpoint_row(self) -> dict[str, Any]:
        (only,) = await self._rows("SELECT * FROM webhook_endpoints")
        return only

    async def lanes(self) -> list[dict[str, Any]]:
        return await self._rows("SELECT * FROM webhook_lanes ORDER BY origin")

    async def events(self, *types: str) -> list[dict[str, Any]]:
        rows = await self._rows("SELECT * FROM events ORDER BY id")
        return [row for row in rows if not types or row["type"] in types]

    async def execute(self, statement: str) -> None:
        async with self._database.statement() as connection:
            await connection.execute(text(statement))

    async def end(self, claimed: Sequence[Claimed], *, with_: Outcome, room: int = 0) -> Turn:
        """Settle attempts as a sender would, were this what came of them."""
        ended = [
            Ended(
                delivery=one,
                record=Record(status_code=None, latency_ms=1, error=None, response=b""),
                verdict=verdict(
                    with_,
                    registered=one.endpoint_id is not None,
                    attempts=one.attempt - one.past_attempts,
                    left=(one.gives_up_at - one.at).total_seconds(),
                    waits=self.rules.waits,
                    rand=lambda: 0.0,
                ),
                blamed=True,
            )
            for one in claimed
        ]
        return await take_turn(
            self._database, ended, room=room, owner="dead", lease=60, rules=self.rules, now=self._clock()
        )

    async def claim(self, *, lease: float = 60, room: int = 100, owner: str = "dead") -> Sequence[Claimed]:
        """Take what is due, as a sender that then says nothing more of it."""
        turn = await take_turn(
            self._database, [], room=room, owner=owner, lease=lease, rules=self.rules, now=self._clock()
        )
        return turn.claimed

    async def deliveries(self) -> list[dict[str, Any]]:
        return await self._rows("SELECT * FROM webhook_deliveries ORDER BY id")

    async def delivery(self) -> dict[str, Any]:
        (only,) = await self.deliveries()
        return only

    async def attempts(self) -> list[dict[str, Any]]:
        return await self._rows("SELECT * FROM webhook_attempts ORDER BY delivery_id, number")

    async def until_all_placed(self) -> None:
        """Wait until every event has its place in the feed."""
        async with asyncio.timeout(PATIENCE):
            while any(row["position"] is None for row in await self.events()):
                await asyncio.sleep(0.01)

    async def tried(self, count: int = 1) -> None:
        """Wait until so many attempts are in the log."""
        async with asyncio.timeout(PATIENCE):
            while len(await self.attempts()) < count:
                await asyncio.sleep(0.01)

    async def settled(self, count: int = 1) -> None:
        """Wait until so many deliveries have ended."""
        async with asyncio.timeout(PATIENCE):
            while sum(row["finished_at"] is not None for row in await self.deliveries()) < count:
                await asyncio.sleep(0.01)

    async def disconnect(self) -> None:
        await self._database.close()

    async def _rows(self, query: str) -> list[dict[str, Any]]:
        async with self._database.statement() as connection:
            return [dict(row) for row in (await connection.execute(text(query))).mappings()]


async def a_turn(database: Database, *sent: Claimed, room: int = 0, response: bytes = b"") -> Turn:
    """What a sender has sent is written down as delivered, and what it has room for is claimed."""
    record = Record(status_code=200, latency_ms=1, error=None, response=response)
    ended = [Ended(delivery=one, record=record, verdict=Delivered(), blamed=True) for one in sent]
    return await take_turn(database, ended, room=room, owner="w", lease=60, rules=RULES, now=None)
