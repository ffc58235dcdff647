"""Deliveries per second of one sender and CPU each; and what a dead receiver and a hanging one do to the
others.

Ten receivers. First 20,000 deliveries wait and are sent as fast as it goes. Then 100 events a second are told
to all ten in turn, and it is measured how long after its event each arrives: with all of them well; and with
one that is gone, for which 100,000 deliveries wait, and one that takes connections and never answers.
"""

import asyncio
import base64
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import uvloop

from benchmarks._hooks import Hook
from benchmarks._report import progress, tell
from benchmarks._usage import cpu_seconds, family_cpu_seconds
from service.database import Database, migrate
from service.dev.embedded import Postgres
from service.encryption import Vault
from service.ids import uuid7
from service.settings import PREFIX, load
from service.telemetry import configure
from service.tenants import store as tenants
from service.webhooks import outbox, secrets
from service.webhooks.sender import Sender

RECEIVERS, TENANTS = 10, 5
WAITING, FOR_THE_DEAD = 20_000, 100_000
RATE, SECONDS, WARM_UP_SECONDS = 100, 30, 3
PATIENCE_SECONDS = 300.0
BODY = msgspec.json.encode({"type": "job.completed", "data": {"id": str(uuid7()), "filler": "x" * 1000}})

PLANT = """
    WITH event AS (
        INSERT INTO events (id, tenant_id, mode, job_id, type, is_end, sequence, body)
        SELECT uuidv7(), $1, 'live', uuidv7(), 'job.completed', TRUE, 5, $2 FROM generate_series(1, $3)
        RETURNING id, tenant_id, job_id
    )
    INSERT INTO webhook_deliveries (id, tenant_id, event_id, job_id, url, origin)
    SELECT uuidv7(), tenant_id, id, job_id, $4, $5 FROM event
"""
UNSEEN = """
    SELECT EXISTS (SELECT FROM webhook_deliveries
                   WHERE status = 'pending' AND NOT in_line AND due_at < now())
"""


class Told(msgspec.Struct, frozen=True):
    """What the sender's process is asked to tell, and when it told which event."""

    tenants: list[UUID]
    urls: list[str]
    seconds: float
    events: dict[str, float] = {}


async def send() -> None:
    """The sender's process: sends, and tells what it is asked on standard input."""
    settings = load()
    database = Database(settings.database_url)
    sender = Sender.connect(database, settings, owner="bench")
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    running = asyncio.create_task(sender.run())
    while line := await reader.readline():
        asked = msgspec.json.decode(line, type=Told)
        for number in range(round(asked.seconds * RATE)):
            if number == 0:
                begun = time.monotonic()
            await asyncio.sleep(begun + number / RATE - time.monotonic())
            event = outbox.Event(
                id=uuid7(),
                tenant_id=asked.tenants[number % len(asked.tenants)],
                mode="live",
                job_id=uuid7(),
                type="job.completed",
                is_end=True,
                sequence=5,
                body=BODY,
            )
            asked.events[str(event.id)] = time.time()
            async with database.hot_transaction() as connection:
                await outbox.record(connection, event, asked.urls[number % len(asked.urls)], now=None)
            sender.wake()
        sys.stdout.buffer.write(msgspec.json.encode(asked) + b"\n")
        sys.stdout.buffer.flush()
    await sender.stop()
    await running
    await sender.close()
    await database.close()


class Bench:
    """A database, ten receivers and the process that sends."""

    def __init__(
        self, postgres: Postgres, connection: Any, hooks: Sequence[Hook], owners: list[UUID]
    ) -> None:
        self.postgres, self.connection, self.hooks, self.owners = postgres, connection, hooks, owners
        self._sender: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._sender = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.deliveries", "send",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**24,
        )  # fmt: skip

    async def stop(self) -> None:
        if self._sender is not None and self._sender.stdin is not None:
            self._sender.stdin.close()
            await self._sender.wait()

    def usage(self) -> tuple[float, float]:
        """CPU seconds of sender and Postgres so far."""
        assert self._sender is not None
        return cpu_seconds(self._sender.pid), family_cpu_seconds(self.postgres.process.pid)

    async def plant(self, hook: Hook, tenant: UUID, count: int) -> None:
        """Deliveries that are due."""
        origin = hook.url.removesuffix("/hook")
        await self.connection.execute(PLANT, tenant, BODY, count, hook.url, origin, timeout=120)

    async def tell(self, seconds: float) -> dict[str, float]:
        """Have events told to all in turn; of each that arrived in time, by how much later."""
        assert self._sender is not None
        assert self._sender.stdin is not None
        assert self._sender.stdout is not None
        asked = Told(tenants=self.owners[:1], urls=[hook.url for hook in self.hooks], seconds=seconds)
        self._sender.stdin.write(msgspec.json.encode(asked) + b"\n")
        told = msgspec.json.decode(await self._sender.stdout.readline(), type=Told)
        await asyncio.sleep(2)
        came = {event: at for hook in self.hooks for event, at in hook.came.items()}
        return {event: came[event] - at for event, at in told.events.items() if event in came}

    async def until_lined_up(self) -> None:
        """Until the sender has seen all that waits."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.connection.fetchval(UNSEEN):  # noqa: ASYNC110  another process sees to it
                await asyncio.sleep(0.2)


@asynccontextmanager
async def a_bench(folder: Path) -> AsyncIterator[Bench]:
    """All of it, the sender not yet started."""
    with Postgres(folder / "postgres") as postgres:
        os.environ[PREFIX + "DATABASE_URL"] = postgres.url()
        os.environ[PREFIX + "SECRET_KEY"] = base64.b64encode(os.urandom(32)).decode()
        os.environ[PREFIX + "WEBHOOK_ALLOWED_NETWORKS"] = "127.0.0.0/8"
        settings = load()
        await asyncio.to_thread(migrate, settings.database_url)
        database = Database(settings.database_url)
        async with database.transaction() as connection:
            owners = [
                await tenants.create(connection, f"bench {number}", actor="bench")
                for number in range(TENANTS)
            ]
            for owner in owners:
                await secrets.issue(connection, Vault.from_text(settings.secret_key), owner)
        await database.close()
        hooks = [Hook() for _ in range(RECEIVERS)]
        for hook in hooks:
            await hook.start()
        connection = await asyncpg.connect(postgres.url(scheme="postgresql"))
        bench = Bench(postgres, connection, hooks, owners)
        try:
            yield bench
        finally:
            await bench.stop()
            for hook in hooks:
                await hook.stop()
            await connection.close()


async def speed(bench: Bench) -> dict[str, float]:
    """Deliveries a second, and milliseconds of CPU for each."""
    for hook in bench.hooks:
        for owner in bench.owners:
            await bench.plant(hook, owner, WAITING // RECEIVERS // TENANTS)
    await bench.connection.execute("VACUUM ANALYZE")
    await bench.start()
    await came(bench, WAITING // 10)
    begun, before, already = time.monotonic(), bench.usage(), arrived(bench)
    await came(bench, WAITING)
    passed, after, count = time.monotonic() - begun, bench.usage(), arrived(bench) - already
    sender, postgres = ((now - then) / count * 1000 for now, then in zip(after, before, strict=True))
    return {"per_second": count / passed, "sender_ms": sender, "postgres_ms": postgres}


async def delays(bench: Bench) -> dict[str, dict[str, float]]:
    """Milliseconds from event to arrival at healthy receivers; the CPU of a delivery while all are well."""
    await bench.tell(WARM_UP_SECONDS)
    before = bench.usage()
    healthy = await bench.tell(SECONDS)
    cost = [(now - then) / len(healthy) * 1000 for now, then in zip(bench.usage(), before, strict=True)]
    progress(f"  all well: {len(healthy)} arrived")
    dead, hanging = bench.hooks[0], bench.hooks[1]
    await dead.stop()
    hanging.hangs = True
    await bench.plant(dead, bench.owners[0], FOR_THE_DEAD)
    await bench.until_lined_up()
    await bench.tell(WARM_UP_SECONDS)
    progress("  one is dead, one hangs")
    beside = await bench.tell(SECONDS)
    return {
        "all_well": percentiles(healthy) | {"sender_cpu": cost[0], "postgres_cpu": cost[1]},
        "beside_dead": percentiles(beside),
    }


def percentiles(found: dict[str, float]) -> dict[str, float]:
    cuts = quantiles(found.values(), n=100)
    return {"p50": cuts[49] * 1000, "p95": cuts[94] * 1000, "p99": cuts[98] * 1000, "arrived": len(found)}


def arrived(bench: Bench) -> int:
    return sum(len(hook.came) for hook in bench.hooks)


async def came(bench: Bench, count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while arrived(bench) < count:  # noqa: ASYNC110  several receivers count
            await asyncio.sleep(0.05)


async def measure(folder: Path) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    async with a_bench(folder) as bench:
        fast = await speed(bench)
        progress(f"  {fast['per_second']:.0f} a second")
        return fast, await delays(bench)


def main() -> None:
    progress("deliveries: one sender; then one of ten receivers dead and one hanging")
    with tempfile.TemporaryDirectory(prefix="edit-jobs-bench-") as folder:
        fast, late = uvloop.run(measure(Path(folder)))
    well, beside = late["all_well"], late["beside_dead"]
    ratio = beside["p99"] / well["p99"]
    tell(
        "deliveries",
        [
            ["", "found", "promised"],
            ["deliveries a second", round(fast["per_second"]), ""],
            ["sender, ms CPU each", fast["sender_ms"], ""],
            ["Postgres, ms CPU each", fast["postgres_ms"], ""],
            [f"the same at {RATE} a second, with telling", well["sender_cpu"], ""],
            ["and Postgres", well["postgres_cpu"], ""],
            ["event to arrival p50, all well, ms", round(well["p50"]), ""],
            ["p99, all well, ms", round(well["p99"]), ""],
            ["p50 beside the dead, ms", round(beside["p50"]), ""],
            ["p99 beside the dead, ms", round(beside["p99"]), ""],
            ["p99 beside : all well", ratio, "1.2"],
        ],
        {"speed": fast, "delays_ms": late, "ratio": ratio},
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["send"]:
        configure(level="warning", form="json")
        uvloop.run(send())
    else:
        main()
