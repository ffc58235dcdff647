"""The jobs this process holds, and the beat that keeps them its own.

One statement renews them all, by the ids it holds; what it does not return was lost to another worker and
is dropped. The beat also tells whether Postgres has been there all the time: after a gap everybody must be
able to renew before anybody takes over what looks abandoned.
"""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

from service.database import Database, is_outage
from service.jobs.job import Job
from service.jobs.store import claims
from service.jobs.store.claims import Holding, Owner
from service.telemetry import log

BEATS_PER_LEASE = 4


class Leases:
    """What one owner holds."""

    def __init__(self, database: Database, owner: Owner) -> None:
        """The database is best a pool of its own: a beat that waits behind other work is lost."""
        self.owner = owner
        self._database = database
        self._held: dict[UUID, Holding] = {}
        self._on_lost: list[Callable[[UUID], None]] = []
        self._beat = owner.lease / BEATS_PER_LEASE
        self._steady_since = self._last_beat = time.monotonic()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, job: Job, *, position: int | None = None) -> None:
        """Keep renewing this job, at its epoch; `position` is its place in the queue as last read."""
        self._held[job.id] = Holding(job_id=job.id, epoch=job.epoch, position=position)

    def drop(self, job: Job) -> None:
        """Stop renewing it: it ended, went back, or is another's by now. A later claim of ours stays."""
        held = self._held.get(job.id)
        if held is not None and held.epoch == job.epoch:
            del self._held[job.id]

    def on_lost(self, listener: Callable[[UUID], None]) -> None:
        """Call this with the id of a job that turns out not to be ours any more."""
        self._on_lost.append(listener)

    @property
    def is_steady(self) -> bool:
        """Whether a whole lease has passed without a gap, neither of Postgres's nor of our own."""
        now = time.monotonic()
        return now - self._steady_since >= self.owner.lease and now - self._last_beat <= 2 * self._beat

    async def run(self) -> None:
        """Renew for ever."""
        while True:
            began = time.monotonic()
            if began - self._last_beat > 2 * self._beat:
                log.warning("leases.gap", seconds=round(began - self._last_beat, 3))
                self._steady_since = began
            try:
                async with asyncio.timeout(2 * self._beat):
                    await self._renew()
                self._last_beat = time.monotonic()
            except Exception as error:
                if not is_outage(error):
                    log.exception("leases.fault")
            await asyncio.sleep(max(0.0, self._beat - (time.monotonic() - began)))

    async def give_back(self, jobs: list[Job]) -> None:
        """Let others have these at once."""
        holdings = [held for job in jobs if (held := self._held.pop(job.id, None))]
        if holdings:
            async with self._database.hot_statement() as connection:
                await claims.give_back(connection, self.owner, holdings)

    async def _renew(self) -> None:
        holdings = list(self._held.values())
        async with self._database.hot_statement() as connection:
            kept = await claims.renew(connection, self.owner, holdings)
        for holding in holdings:
            if holding.job_id not in kept and self._held.get(holding.job_id) == holding:
                del self._held[holding.job_id]
                log.warning("lease.lost", job_id=str(holding.job_id), epoch=holding.epoch)
                for listener in self._on_lost:
                    listener(holding.job_id)
