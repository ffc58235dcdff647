"""Sends what is due: claims as many deliveries as it has room for, makes an attempt of each, settles it.

A claimed delivery is attempted at once, none waits here: what a lane or the process has no room for stays
in Postgres for whoever has. Woken by its own process when a job has ended, else it looks at every tick, so
a retry is late by one tick at most. What has ended is settled together at the next turn.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from service.backoff import Random, exponential
from service.clock import Clock, postgres_time
from service.database import Database, is_outage
from service.encryption import Vault
from service.http import Transport
from service.settings import Settings
from service.telemetry import log
from service.webhooks.attempt import Attempt, connect, failed, post, tell, tell_of_receivers
from service.webhooks.keychain import Keychain
from service.webhooks.rules import Rules
from service.webhooks.schedule import Unsent, verdict
from service.webhooks.signing import Signer
from service.webhooks.store import claims
from service.webhooks.store.claims import Claimed
from service.webhooks.store.settle import Ended
from service.webhooks.turn import Turn, take_turn
from service.webhooks.upkeep import Upkeep

APART_SECONDS = 0.05
"""Between two turns, unless somebody stands in a line that may move: ends come singly, turns cost."""
SOON_SECONDS, AT_LEISURE_SECONDS = 0.01, 0.1
"""From the end of an attempt to the turn that settles it, if somebody stands in a line that it may move, or
nobody does: others that end, or become due, in that time share it."""
MARGIN_SECONDS = 10.0
"""A lease outlives the deadline by this, for what comes before the attempt and after it."""


class Sender:
    """The sender of one process."""

    def __init__(
        self,
        database: Database,
        *,
        transport: Transport,
        vault: Vault,
        owner: str,
        rules: Rules,
        tick_seconds: float,
        clock: Clock = postgres_time,
        rand: Random = random.random,
    ) -> None:
        self._database = database
        self._transport = transport
        self._keychain = Keychain(database, vault)
        self._owner = owner
        self._rules = rules
        self._tick = tick_seconds
        self._lease = rules.deadline + MARGIN_SECONDS
        self._clock = clock
        self._rand = rand
        self._upkeep = Upkeep(database, tick_seconds=tick_seconds, clock=clock)
        self._attempts: set[asyncio.Task[None]] = set()
        self._ended: list[tuple[Ended, Attempt]] = []
        self._woken = asyncio.Event()
        self._left_behind = False
        self._settling: asyncio.TimerHandle | None = None
        self._stop_by: float | None = None
        self._finished = asyncio.Event()
        self._finished.set()

    @classmethod
    def connect(
        cls, database: Database, settings: Settings, *, owner: str, clock: Clock = postgres_time
    ) -> Self:
        """With connections of its own, as the settings say."""
        rules = Rules.of(settings)
        return cls(
            database,
            transport=connect(connections=rules.slots, allowed=settings.webhook_allowed_networks),
            vault=settings.vault,
            owner=owner,
            rules=rules,
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
            while not self._is_done:
                try:
                    await self._look()
                    failures = 0
                except Exception as error:
                    failures += 1
                    self._report(error, "sender.stumbled")
                    await asyncio.sleep(exponential(failures, first=0.1, cap=2.0, rand=self._rand))
                    self.wake()
                if not self._is_done:
                    await self._next_turn()
        finally:
            for task in self._attempts:
                task.cancel()
            self._finished.set()

    async def stop(self) -> None:
        """Claim nothing more, let the attempts on the wire finish, and return when `run` has."""
        self._stop_by = time.monotonic() + self._lease
        self.wake()
        await self._finished.wait()

    async def close(self) -> None:
        """Close all connections to receivers."""
        await self._transport.aclose()

    @property
    def _is_stopping(self) -> bool:
        return self._stop_by is not None

    @property
    def _is_done(self) -> bool:
        """Nobody would believe what comes after the lease."""
        if self._stop_by is None:
            return False
        return not (self._attempts or self._ended) or time.monotonic() > self._stop_by

    async def _next_turn(self) -> None:
        apart = asyncio.get_running_loop().time() + APART_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(self._tick):
                await self._woken.wait()
        if not (self._left_behind or self._is_stopping):
            await asyncio.sleep(apart - asyncio.get_running_loop().time())
        self._woken.clear()

    async def _look(self) -> None:
        await self._upkeep.look()
        ended, self._ended = self._ended, []
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        room = 0 if self._is_stopping else self._rules.slots - len(self._attempts)
        at = time.monotonic()
        try:
            turn = await take_turn(
                self._database,
                [one for one, _ in ended],
                room=room,
                owner=self._owner,
                lease=self._lease,
                rules=self._rules,
                now=self._clock(),
            )
        except Exception as error:
            if is_outage(error):
                self._ended = ended + self._ended  # an attempt that was made must not be forgotten
            elif ended:
                # Whoever frees the lost ones gives them another attempt.
                log.error("delivery.lost", deliveries=[str(one.delivery.id) for one, _ in ended])
            raise
        for one, attempt in ended:
            tell(one, attempt, settled=one.delivery.id in turn.settled)
        tell_of_receivers(turn.opened, turn.disabled)
        await self._begin(turn, at=at)

    async def _begin(self, turn: Turn, *, at: float) -> None:
        self._left_behind = turn.left_behind
        if self._is_stopping:
            await self._give_back(turn.claimed)
            return
        for delivery in turn.claimed:
            attempt = asyncio.create_task(self._attempt(delivery, claimed_at=at))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._over)
        if not turn.saw_all:
            self._left_behind = True
            self.wake()

    async def _attempt(self, delivery: Claimed, *, claimed_at: float) -> None:
        try:
            await self._make(delivery, claimed_at=claimed_at)
        except Exception as error:
            self._report(error, "delivery.lost", delivery_id=str(delivery.id))

    def _over(self, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        within = SOON_SECONDS if self._left_behind or self._is_stopping else AT_LEISURE_SECONDS
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(within, self.wake)

    async def _make(self, delivery: Claimed, *, claimed_at: float) -> None:
        begun = time.monotonic()
        try:
            signer = await self._signer(delivery)
            begun = time.monotonic()
            if begun > claimed_at + MARGIN_SECONDS:
                await self._give_back([delivery])  # the lease would not outlive the attempt
                return
            attempt = await post(self._transport, delivery, signer=signer, deadline=self._rules.deadline)
        except Exception as error:
            # A fault of ours, or no secret that can be read. It must not be tried again without a pause.
            self._report(error, "delivery.unsent", delivery_id=str(delivery.id))
            attempt = failed(Unsent(), "the service could not send it", begun=begun)
        follows = verdict(
            attempt.outcome,
            registered=delivery.endpoint_id is not None,
            attempts=delivery.attempt - delivery.past_attempts,
            left=(delivery.gives_up_at - delivery.at).total_seconds(),
            waits=self._rules.waits,
            rand=self._rand,
        )
        blamed = not isinstance(attempt.outcome, Unsent)
        ended = Ended(delivery=delivery, record=attempt.record, verdict=follows, blamed=blamed)
        self._ended.append((ended, attempt))

    async def _give_back(self, deliveries: Sequence[Claimed]) -> None:
        if deliveries:
            async with self._database.hot_statement() as connection:
                await claims.give_back(connection, deliveries)

    async def _signer(self, delivery: Claimed) -> Signer:
        """Its secrets, as soon as Postgres tells them."""
        failures = 0
        while True:
            try:
                return await self._keychain.of(delivery.tenant_id, delivery.endpoint_id, mode=delivery.mode)
            except Exception as error:
                if not is_outage(error):
                    raise
                failures += 1
                self._report(error, "sender.waits")
            await asyncio.sleep(exponential(failures, first=0.1, cap=2.0, rand=self._rand))

    def _report(self, error: Exception, event: str, **fields: object) -> None:
        if is_outage(error):
            self._upkeep.postpone(self._lease)
            log.warning(event, owner=self._owner, error=repr(error), **fields)
        else:
            log.exception(event, owner=self._owner, **fields)
