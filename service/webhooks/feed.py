"""The feed's places: committed events get them from one worker at a time, a moment after their commit.

Woken by its own process when something was told, else it looks at every tick.
"""

import asyncio

from service.database import Database, is_outage
from service.telemetry import log
from service.webhooks.store import feed

APART_SECONDS = 0.5
"""Between two statements: what comes meanwhile is stamped together."""
PAUSE_SECONDS = 1.0


class Feed:
    """The stamper of one process."""

    def __init__(self, database: Database, *, tick_seconds: float) -> None:
        self._database = database
        self._tick = tick_seconds
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something was told."""
        self._woken.set()

    async def run(self) -> None:
        """Stamp for ever; an outage of Postgres is waited for."""
        while True:
            try:
                async with asyncio.timeout(self._tick):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            try:
                async with self._database.hot_statement() as connection:
                    stamped = await feed.stamp(connection)
            except Exception as error:
                if not is_outage(error):
                    raise
                log.warning("feed.waits", error=repr(error))
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if stamped == feed.MOST:
                self.wake()
            else:
                await asyncio.sleep(APART_SECONDS)
