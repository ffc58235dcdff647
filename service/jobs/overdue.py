"""Waiting jobs whose deadline is over: taken out of the line at once, then ended one after the other.

Each end is told, which takes its time, and a tenant's whole backlog may be overdue at the same moment. Until
they are ended they stand in nobody's way.
"""

import asyncio
from datetime import UTC, datetime

from service.database import is_outage
from service.jobs import ends
from service.jobs.job import Job
from service.jobs.ledger import Ledger
from service.jobs.lifecycle import EXPIRE
from service.jobs.store import line, moves, wishes
from service.telemetry import log

ASIDE_AT_ONCE = 2_000
ENDED_AT_ONCE = 20


class Overdue:
    """Ends, for this process, what still waits at its deadline."""

    def __init__(self, ledger: Ledger, *, tick: float) -> None:
        self._ledger = ledger
        self._tick = tick
        # Of what was overdue before, all that could be was set aside.
        self._since = datetime(1970, 1, 1, tzinfo=UTC)

    async def run(self) -> None:
        """Look at every tick, for ever, and without a pause while there is more."""
        while True:
            more = False
            try:
                await self._set_aside()
                more = await self._end() == ENDED_AT_ONCE
            except Exception as error:
                if is_outage(error):
                    log.warning("database.away", doing="overdue", error=str(error)[:200])
                else:
                    log.exception("overdue.fault")
            if not more:
                await asyncio.sleep(self._tick)

    async def _set_aside(self) -> None:
        count = ASIDE_AT_ONCE
        while count == ASIDE_AT_ONCE:
            async with self._ledger.database.hot_statement() as connection:
                count, self._since = await line.set_aside(
                    connection, since=self._since, most=ASIDE_AT_ONCE, now=self._ledger.clock()
                )

    async def _end(self) -> int:
        now = self._ledger.clock()
        done: list[tuple[Job, Job]] = []
        async with self._ledger.database.transaction() as connection:
            overdue = await wishes.lock_overdue(connection, most=ENDED_AT_ONCE, now=now)
            for job in overdue:
                error = ends.expired(job, cancelled=False)
                write = moves.expire.of(job, error=error, cancelled=False, now=now)
                if expired := await self._ledger.once(connection, EXPIRE, write):
                    done.append((job, expired))
        for job, expired in done:
            self._ledger.announce(job, expired, EXPIRE)
        return len(done)
