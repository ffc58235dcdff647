"""Everything that may go wrong, planned by a seed: storms of several faults within a second, then a lull.

One part has one fault at a time, different parts have theirs at once. Each fault is lifted again: what was
killed is started, what was frozen is thawed.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
from chaos.postgres import crowded, frozen, jobs_locked, sessions_ended
from redis.asyncio import Redis as RedisClient

from service.dev.embedded import EmbeddedError
from service.dev.processes import Process, ProcessError
from service.dev.stack import DATABASE, Part, Stack

WITHIN_STORM = 0.25
STOP_SECONDS = 20.0
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: whom it hits, how often among the others, and how many seconds it lasts."""

    part: str
    weight: int
    shortest: float = 0.0
    longest: float = 0.0


# Leases are 3 s and submits have 3 s here: the longest of these are longer. What takes long to be lifted is
# rare: with both workers down most of the time nothing would go on that could be disturbed.
KINDS = {
    "worker killed": Kind("worker", 3, 0.0, 2.0),
    "worker stopped": Kind("worker", 3, 0.0, 1.0),
    "worker frozen": Kind("worker", 4, 3.5, 6.5),
    "api killed": Kind("api", 3, 0.0, 1.5),
    "api stopped": Kind("api", 3, 0.0, 1.0),
    "api frozen": Kind("api", 4, 0.5, 3.0),
    "postgres restarted": Kind("postgres", 2),
    "postgres killed": Kind("postgres", 2, 0.0, 1.0),
    "postgres frozen": Kind("postgres", 3, 0.5, 5.0),
    "postgres sessions ended": Kind("postgres", 4),
    "postgres out of connections": Kind("postgres", 1, 0.5, 1.5),
    "jobs table locked": Kind("postgres", 3, 0.3, 4.0),
    "redis restarted": Kind("redis", 5),
    "redis killed": Kind("redis", 5, 0.5, 3.0),
    "redis frozen": Kind("redis", 5, 0.5, 4.0),
    "redis flushed": Kind("redis", 10),
    "upstream slow": Kind("simulator", 8, 0.5, 3.0),
    "upstream down": Kind("simulator", 8, 0.3, 2.0),
    "upstream busy": Kind("simulator", 7, 0.3, 2.0),
    "upstream frozen": Kind("simulator", 5, 0.5, 4.0),
    "token revoked": Kind("simulator", 4, 0.3, 2.0),
    "account empty": Kind("simulator", 2, 0.3, 2.0),
    "receiver frozen": Kind("receiver", 8, 0.3, 3.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come: when, counted from the start, and for how long; `which` of several processes."""

    at: float
    kind: str
    seconds: float
    which: int
    strength: float


@dataclass(frozen=True, slots=True)
class Played:
    """One fault that was; Unix seconds."""

    kind: str
    began: float
    lifted: float


def plan(
    rand: random.Random,
    count: int,
    *,
    storm: tuple[int, int],
    lull: tuple[float, float],
    among: Sequence[str] = tuple(KINDS),
) -> list[Fault]:
    """So many faults, `storm` of them together and `lull` seconds between two storms, at least and at most.

    Every kind comes once before any is drawn by its weight.
    """
    kinds = rand.sample(among, len(among))[:count]
    kinds += rand.choices(among, [KINDS[kind].weight for kind in among], k=count - len(kinds))
    faults: list[Fault] = []
    at, left = 0.5, 0
    for kind in kinds:
        if not left:
            left = rand.randint(*storm)
            at += rand.uniform(*lull) if faults else 0.0
        left -= 1
        at += rand.uniform(0, WITHIN_STORM)
        seconds = rand.uniform(KINDS[kind].shortest, KINDS[kind].longest)
        # Processes of one kind in turn, so that both are away only where faults of a storm meet.
        which = sum(KINDS[fault.kind].part == KINDS[kind].part for fault in faults)
        faults.append(Fault(at, kind, seconds, which, rand.uniform(0.2, 4.0)))
    return faults


class Faults:
    """Plays a plan on a stack. `played` is what has been; `died` counts parts that nobody had killed."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession) -> None:
        self.played: list[Played] = []
        self.died: Counter[str] = Counter()
        self._stack = stack
        self._http = http
        self._hit: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self, faults: list[Fault]) -> None:
        """Play all of them; when it returns, all are lifted."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(began + fault.at - time.monotonic())
                group.create_task(self._play(fault))

    async def _play(self, fault: Fault) -> None:
        part = KINDS[fault.kind].part
        targets: dict[str, list[Process]] = {"worker": self._stack.workers, "api": self._stack.apis}
        processes = targets.get(part, [])
        which = fault.which % len(processes) if processes else 0
        async with self._hit[f"{part}-{which}"]:
            began = time.time()
            if processes:
                await self._hit_process(processes[which], fault)
            else:
                act: Callable[[Fault], Awaitable[None]] = getattr(self, f"_hit_{part}")
                await act(fault)
            self.played.append(Played(fault.kind, began, time.time()))

    async def _hit_process(self, process: Process, fault: Fault) -> None:
        if not process.running:
            self.died[process.name] += 1
            await self._start(process)
        match fault.kind.split()[1]:
            case "killed":
                await asyncio.to_thread(process.kill)
                await asyncio.sleep(fault.seconds)
                await self._start(process)
            case "stopped":
                await asyncio.to_thread(process.stop, STOP_SECONDS)
                await asyncio.sleep(fault.seconds)
                await self._start(process)
            case "frozen":
                process.freeze()
                await asyncio.sleep(fault.seconds)
                process.thaw()

    async def _hit_postgres(self, fault: Fault) -> None:
        server, database = self._stack.postgres, self._stack.postgres.url(DATABASE, scheme="postgresql")
        match fault.kind:
            case "postgres restarted":
                await asyncio.to_thread(server.restart)
            case "postgres killed":
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(fault.seconds)
                await self._start(server)
            case "postgres frozen":
                await frozen(server.process, database, seconds=fault.seconds)
            case "postgres sessions ended":
                await sessions_ended(database)
            case "postgres out of connections":
                await crowded(database, seconds=fault.seconds)
            case "jobs table locked":
                await jobs_locked(database, seconds=fault.seconds)

    async def _hit_redis(self, fault: Fault) -> None:
        server = self._stack.redis
        match fault.kind:
            case "redis restarted":
                await asyncio.to_thread(server.restart)
            case "redis killed":
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(fault.seconds)
                await self._start(server)
            case "redis frozen":
                await self._frozen(server.process, fault.seconds)
            case "redis flushed":
                async with RedisClient.from_url(server.url()) as client:
                    await client.flushall()

    async def _hit_simulator(self, fault: Fault) -> None:
        if fault.kind == "upstream frozen":
            await self._frozen(self._stack.simulator, fault.seconds)
            return
        wrong: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
            "upstream slow": ({"latency": fault.strength}, {"latency": 0}),
            "upstream down": ({"down": True}, {"down": False}),
            "upstream busy": ({"busy": True}, {"busy": False}),
            "token revoked": ({"tokens": []}, {"tokens": None}),
            "account empty": ({"no_balance": True}, {"no_balance": False}),
        }
        fails, is_well = wrong[fault.kind]
        await self._switch(fails)
        await asyncio.sleep(fault.seconds)
        await self._switch(is_well)

    async def _hit_receiver(self, fault: Fault) -> None:
        # Never killed: it is a witness, and remembers nothing beyond its life.
        await self._frozen(self._stack.receiver, fault.seconds)

    async def _frozen(self, process: Process, seconds: float) -> None:
        process.freeze()
        await asyncio.sleep(seconds)
        process.thaw()

    async def _switch(self, faults: dict[str, Any]) -> None:
        async with self._http.post(f"{self._stack.simulator_url}/_sim/faults", json=faults) as answer:
            assert answer.status == 204, await answer.text()

    async def _start(self, part: Part) -> None:
        """As a supervisor would, who starts what does not come up again: Postgres may be away meanwhile."""
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                await self._stack.start(part)
            except (ProcessError, EmbeddedError, asyncpg.PostgresError):
                if time.monotonic() > until:
                    raise
                await asyncio.to_thread(part.kill)
                await asyncio.sleep(0.2)
            else:
                return
