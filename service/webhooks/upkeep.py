"""What no claim comes by: lost attempts, what became too old, lines that nobody is led to, rows of no use any
more."""

import time

from service.clock import Clock
from service.database import Database
from service.telemetry import log, metrics
from service.webhooks.store import sweep

MINUTE_SECONDS = 60.0


class Upkeep:
    """One process's share of it: every process does all, whoever comes first."""

    def __init__(self, database: Database, *, tick_seconds: float, clock: Clock) -> None:
        self._database = database
        self._tick = tick_seconds
        self._clock = clock
        self._next = 0.0
        self._next_minute = 0.0

    def postpone(self, seconds: float) -> None:
        """After an outage everybody may first write what became of their attempts."""
        self._next = time.monotonic() + seconds

    async def look(self) -> None:
        """Do what is due: some of it at every tick, some of it every minute."""
        if time.monotonic() < self._next:
            return
        now = self._clock()
        async with self._database.hot_statement() as connection:
            if lost := await sweep.free_lost(connection):
                log.warning("delivery.taken_back", deliveries=lost)
            if exhausted := await sweep.exhaust(connection, now=now):
                log.info("delivery.too_old", deliveries=exhausted)
                metrics.DELIVERIES_TOO_OLD.inc(exhausted)
        self._next = time.monotonic() + self._tick
        if time.monotonic() < self._next_minute:
            return
        async with self._database.hot_statement() as connection:
            await sweep.hold(connection)
            await sweep.release(connection)
            await sweep.withdraw(connection, now=now)
            if strays := await sweep.find_strays(connection, now=now):
                log.warning("delivery.strays", lanes=strays)
            await sweep.forget_lanes(connection, now=now)
        self._next_minute = time.monotonic() + MINUTE_SECONDS
