"""A worker removes what is old, once an hour; where several do, each run finds little that is left."""

import asyncio
import time
from contextlib import aclosing
from dataclasses import asdict

from service.backoff import Random
from service.clock import Clock
from service.database import Database, is_outage
from service.jobs.retention import BusyError, Pruned, prune
from service.telemetry import log, metrics

EVERY_SECONDS = 60 * 60.0


class Pruning:
    """Removes what is older than so many days. One per worker."""

    def __init__(
        self,
        database: Database,
        *,
        days: int,
        clock: Clock,
        rand: Random,
        every: float = EVERY_SECONDS,
    ) -> None:
        """`rand` says when in the first hour to begin, so that workers that start together do not."""
        self._database = database
        self._days = days
        self._clock = clock
        self._rand = rand
        self._every = every

    async def run(self) -> None:
        """Do so for ever."""
        await asyncio.sleep(self._every * self._rand())
        while True:
            await self.once()
            await asyncio.sleep(self._every)

    async def once(self) -> None:
        """Do so now, unless somebody is at it; what an outage cuts off is done the next time."""
        pruned = Pruned()
        try:
            async with aclosing(prune(self._database, days=self._days, clock=self._clock)) as steps:
                async for after_step in steps:
                    _count(after_step, since=pruned)
                    pruned = after_step
        except BusyError:
            return
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("retention.cut_off", error=str(error)[:200], **asdict(pruned))
        else:
            metrics.LAST_PRUNE.set(time.time())
            if pruned != Pruned(undelivered=pruned.undelivered):
                log.info("retention.pruned", days=self._days, **asdict(pruned))


def _count(pruned: Pruned, *, since: Pruned) -> None:
    for kind in ("jobs", "idempotency_keys", "events", "secrets"):
        metrics.PRUNED.labels(kind).inc(getattr(pruned, kind) - getattr(since, kind))
