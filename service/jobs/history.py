"""What this process knows of run times: the histograms of all workers, and the ends it has seen since.

They are shared through Postgres every few seconds, so that a worker that has just started follows its first
job as well as any. Of nothing that is known here may anything depend but when a job is read.
"""

import asyncio
from collections import defaultdict

from service.database import Database, is_outage
from service.jobs.run_times import RunTimes
from service.jobs.store import run_times
from service.telemetry import log

SHARE_SECONDS = 5.0


class History:
    """The run times of each model."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._times: dict[str, RunTimes] = {}
        self._unshared: dict[str, dict[int, float]] = {}

    def of(self, model: str) -> RunTimes | None:
        """What is known of a model; None until the first of its jobs has ended."""
        return self._times.get(model)

    def ended(self, model: str, after: float, by: float) -> None:
        """A job ended between these two times since it was last known not to run."""
        times = self._times.setdefault(model, RunTimes())
        shares = times.shares(after, by)
        times.add(shares)
        unshared = self._unshared.setdefault(model, defaultdict(float))
        for bucket, share in shares:
            unshared[bucket] += share

    async def run(self) -> None:
        """Share for ever."""
        while True:
            try:
                await self.share()
            except Exception as error:
                if not is_outage(error):
                    log.exception("history.fault")
            await asyncio.sleep(SHARE_SECONDS)

    async def share(self) -> None:
        """Give what was seen here since the last time, and take what others have seen."""
        given, self._unshared = self._unshared, {}
        async with self._database.statement() as connection:
            if given:
                await run_times.merge(connection, given)
            shared = await run_times.read(connection)
        times = {model: RunTimes(weights) for model, weights in shared.items()}
        for model, weights in self._unshared.items():  # what ended meanwhile
            times.setdefault(model, RunTimes()).add(weights.items())
        self._times = times
