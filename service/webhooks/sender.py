"""Sends what is due: claims as many deliveries as it has room for, makes an attempt of each, settles it.

A claimed delivery is attempted at once, none waits here: what a lane or the process has no room for stays
in Postgres for whoever has. Woken by its own process when a job has ended, else it looks at every tick, so
a retry is late by one tick at most.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Self, TypeVar

from service.backoff import Random, exponential
from service.clock import Clock, postgres_time
from service.database import AnyConnection, Database, is_outage
from service.encryption import Vault
from service.http import Transport
from service.settings import Settings
from service.telemetry import log
from service.webhooks import store
from service.webhooks.attempt import Attempt, connect, failed, post, tell
from service.webhooks.keychain import Keychain
from service.webhooks.schedule import Unreachable, verdict
from service.webhooks.store import Claimed, Lane

SLOTS = 200
"""Attempts at once in this process."""
LANE_SLOTS = 4
"""Attempts at once in one lane: a dead receiver holds up nobody else."""
APART_SECONDS = 0.05
"""Between two claims, unless there was more than the first could take: ends come singly, claims cost."""
DEADLINE_SECONDS = 15.0
MARGIN_SECONDS = 10.0
"""A lease outlives the deadline by this, for what comes before the attempt and after it."""

T = TypeVar("T")


class Sender:
    """The sender of one process. `waits` is the retry schedule: seconds before each attempt."""

    def __init__(
        self,
        database: Database,
        *,
        transport: Transport,
        vault: Vault,
        owner: str,
        waits: Sequence[float],
        tick_seconds: float,
        deadline_seconds: float = DEADLINE_SECONDS,
        clock: Clock = postgres_time,
        rand: Random = random.random,
    ) -> None:
        self._database = database
        self._transport = transport
        self._keychain = Keychain(database, vault)
        self._owner = owner
        self._waits = waits
        self._tick = tick_seconds
        self._deadline = deadline_seconds
        self._lease = deadline_seconds + MARGIN_SECONDS
        self._clock = clock
        self._rand = rand
        self._attempts: set[asyncio.Task[None]] = set()
        self._busy: Counter[Lane] = Counter()
        self._woken = asyncio.Event()
        self._left_behind = False
        self._stopping = False
        self._finished = asyncio.Event()
        self._finished.set()
        self._next_look_for_lost = 0.0

    @classmethod
    def connect(
        cls, database: Database, settings: Settings, *, owner: str, clock: Clock = postgres_time
    ) -> Self:
        """With connections of its own, as the settings say."""
        return cls(
            database,
            transport=connect(connections=SLOTS, allowed=settings.webhook_allowed_networks),
            vault=settings.vault,
            owner=owner,
            waits=settings.webhook_retry_schedule,
            tick_seconds=settings.tick_seconds,
            clock=clock,
        )

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._woken.set()

    async def run(self) -> None:
        """Send until `stop`; neither an outage of Postgres nor a fault of ours ends it."""
        self._finished.clear()
        failures = 0
        try:
            while not self._stopping:
                try:
                    await self._look()
                    failures = 0
                except Exception as error:
                    failures += 1
                    self._report(error, "sender.stumbled")
                    await asyncio.sleep(exponential(failures, first=0.2, cap=2.0, rand=self._rand))
                await self._next_turn()
            if self._attempts:
                await asyncio.wait(self._attempts, timeout=self._lease)
        finally:
            for task in self._attempts:
                task.cancel()
            self._finished.set()

    async def stop(self) -> None:
        """Claim nothing more, let the attempts on the wire finish, and return when `run` has."""
        self._stopping = True
        self.wake()
        await self._finished.wait()

    async def close(self) -> None:
        """Close all connections to receivers."""
        await self._transport.aclose()

    def _look_again(self) -> None:
        self._left_behind = True
        self.wake()

    async def _next_turn(self) -> None:
        apart = asyncio.get_running_loop().time() + APART_SECONDS
        try:
            async with asyncio.timeout(self._tick):
                await self._woken.wait()
        except TimeoutError:
            pass
        if not (self._left_behind or self._stopping):
            await asyncio.sleep(apart - asyncio.get_running_loop().time())
        self._left_behind = False
        self._woken.clear()

    async def _look(self) -> None:
        if time.monotonic() >= self._next_look_for_lost:
            async with self._database.hot_statement() as connection:
                await store.free_lost(connection)
            self._next_look_for_lost = time.monotonic() + self._tick
        if room := SLOTS - len(self._attempts):
            await self._claim(room)

    async def _claim(self, room: int) -> None:
        busy, at = self._busy.copy(), time.monotonic()
        async with self._database.hot_statement() as connection:
            claimed = await store.claim(
                connection,
                owner=self._owner,
                lease=self._lease,
                room=room,
                cap=LANE_SLOTS,
                busy=busy,
                now=self._clock(),
            )
        if self._stopping:
            await self._give_back(claimed)
            return
        for delivery in claimed:
            self._busy[delivery.lane] += 1
            self._attempts.add(asyncio.create_task(self._attempt(delivery, claimed_at=at)))
        taken = Counter(delivery.lane for delivery in claimed)
        if len(claimed) == room or any(busy[lane] + count >= LANE_SLOTS for lane, count in taken.items()):
            self._look_again()  # there may be more, and a slot may have become free meanwhile

    async def _attempt(self, delivery: Claimed, *, claimed_at: float) -> None:
        try:
            await self._make(delivery, claimed_at=claimed_at)
        except Exception as error:
            # Whoever frees the lost ones gives it another attempt.
            self._report(error, "delivery.lost", delivery_id=str(delivery.id))
        finally:
            if len(self._attempts) >= SLOTS or self._busy[delivery.lane] >= LANE_SLOTS:
                self._look_again()  # only what was full can have left something behind
            task = asyncio.current_task()
            assert task is not None
            self._attempts.discard(task)
            self._busy[delivery.lane] -= 1
            if not self._busy[delivery.lane]:
                del self._busy[delivery.lane]

    async def _make(self, delivery: Claimed, *, claimed_at: float) -> None:
        begun = time.monotonic()
        try:
            signer = await self._through_outages(lambda: self._keychain.of(delivery.tenant_id))
            begun = time.monotonic()
            if begun > claimed_at + MARGIN_SECONDS:
                await self._give_back([delivery])  # the lease would not outlive the attempt
                return
            attempt = await post(self._transport, delivery, signer=signer, deadline=self._deadline)
        except Exception as error:
            # A fault of ours, or no secret that can be read. It must not be tried again without a pause.
            self._report(error, "delivery.unsent", delivery_id=str(delivery.id))
            attempt = failed(Unreachable(), "the service could not send it", begun=begun)
        await self._settle(delivery, attempt)

    async def _settle(self, delivery: Claimed, attempt: Attempt) -> None:
        follows = verdict(
            attempt.outcome,
            attempts=delivery.attempt,
            age=(delivery.at - delivery.happened_at).total_seconds(),
            waits=self._waits,
            rand=self._rand,
        )

        async def write(connection: AnyConnection) -> bool:
            return await store.settle(connection, delivery, attempt.record, follows, now=self._clock())

        settled = await self._through_outages(lambda: self._stated(write))
        tell(delivery, attempt, follows, settled=settled)

    async def _give_back(self, deliveries: Sequence[Claimed]) -> None:
        async def write(connection: AnyConnection) -> None:
            await store.give_back(connection, deliveries)

        if deliveries:
            await self._stated(write)

    async def _stated(self, write: Callable[[AnyConnection], Awaitable[T]]) -> T:
        async with self._database.hot_statement() as connection:
            return await write(connection)

    async def _through_outages(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do it as soon as Postgres lets us: an attempt that was made must not be forgotten."""
        failures = 0
        while True:
            try:
                return await act()
            except Exception as error:
                if not is_outage(error):
                    raise
                failures += 1
                self._report(error, "sender.waits")
            await asyncio.sleep(exponential(failures, first=0.1, cap=2.0, rand=self._rand))

    def _report(self, error: Exception, event: str, **fields: object) -> None:
        if is_outage(error):
            # After an outage everybody may first write what became of their attempts.
            self._next_look_for_lost = time.monotonic() + self._lease
            log.warning(event, owner=self._owner, error=repr(error), **fields)
        else:
            log.exception(event, owner=self._owner, **fields)
