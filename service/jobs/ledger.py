"""Writing down what became known, however long Postgres takes, and letting those know who wait for it.

A worker may know something that nobody else does, an id that was paid for above all. So a write is tried
until Postgres answers. A guarded write that finds no row after a failed try may be that try, committed with
its answer lost: then the job is read again, and the same epoch in the wanted state means just that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from service.backoff import exponential
from service.clock import Clock
from service.database import AnyConnection, Database, is_outage
from service.jobs.job import Job
from service.jobs.lifecycle import Move
from service.jobs.moved import tell_of
from service.jobs.store import reads, wishes
from service.jobs.telling import is_told, tell
from service.telemetry import log
from service.tenants.tenant import Tenant
from service.webhooks.wanted import Wanted

Write = Callable[[AnyConnection], Awaitable[Job | None]]
Listener = Callable[[Job], None]


class Ledger:
    """Makes moves of jobs, each with the event that tells it, in one transaction."""

    def __init__(
        self,
        database: Database,
        *,
        public_url: str,
        clock: Clock,
        on_told: Callable[[], None],
        on_end: Listener,
    ) -> None:
        """`on_told` is called after a commit that told something, `on_end` after one that ended a job."""
        self.database = database
        self.clock = clock
        self._public_url = public_url
        self._on_told = on_told
        self._on_end = on_end
        self._wanted = Wanted(database)

    async def move(self, job: Job, move: Move, write: Write) -> Job | None:
        """Make the move; the job after it, or None if it is not ours to move any more."""
        moved = await self._until_answered(
            move.event, job, lambda again: self._try(job, move, write, again=again)
        )
        if moved is None:
            log.info("job.move_refused", job_id=str(job.id), move=move.event, epoch=job.epoch)
            return None
        self.announce(job, moved, move)
        return moved

    async def once(self, connection: AnyConnection, job: Job, move: Move, write: Write) -> Job | None:
        """A move that is told, in the caller's transaction; the caller calls `announce` after the commit."""
        moved = await write(connection)
        if moved is not None:
            await tell(connection, moved, move.event, public_url=self._public_url)
        return moved

    def announce(self, job: Job, moved: Job, move: Move) -> None:
        """Tell of a committed move, and let know who waits for ends."""
        tell_of(job, moved, move)
        if moved.has_ended:
            self._on_told()
            self._on_end(moved)

    async def read(self, job: Job) -> Job | None:
        """The job as it is now, as soon as Postgres answers."""
        return await self._until_answered("read", job, lambda again: self._read(job))

    async def note(self, job: Job, event: str, data: dict[str, Any]) -> None:
        """Put something on the timeline that moves nothing, as soon as Postgres answers."""

        async def write(again: bool) -> Job | None:
            async with self.database.statement() as connection:
                return await wishes.note(connection, job, event=event, data=data)

        await self._until_answered(event, job, write)

    async def _until_answered(
        self, doing: str, job: Job, act: Callable[[bool], Awaitable[Job | None]]
    ) -> Job | None:
        failures = 0
        while True:
            try:
                return await act(failures > 0)
            except Exception as error:
                if not is_outage(error):
                    raise
                failures += 1
                log.warning("database.away", doing=doing, job_id=str(job.id), error=str(error)[:200])
                await asyncio.sleep(exponential(failures, first=0.1, cap=2.0))

    async def _try(self, job: Job, move: Move, write: Write, *, again: bool) -> Job | None:
        if await is_told(job, move.event, self._wanted):
            async with self.database.hot_transaction() as connection:
                moved = await self.once(connection, job, move, write)
            self._on_told()
        else:
            async with self.database.hot_statement() as connection:
                moved = await write(connection)
        if moved is None and again:
            current = await self._read(job)
            if current and current.epoch == job.epoch and current.status is move.reaches:
                moved = current
        return moved

    async def _read(self, job: Job) -> Job | None:
        tenant = Tenant(id=job.tenant_id, mode="live" if job.mode == "live" else "test")
        async with self.database.statement() as connection:
            return await reads.find(connection, tenant, job.id)
