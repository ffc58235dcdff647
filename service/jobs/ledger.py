"""Writing down what became known, however long Postgres takes, and letting those know who wait for it.

A worker may know something that nobody else does, an id that was paid for above all. So a write is tried
until Postgres answers. A guarded write that finds no row after a failed try may be that try, committed with
its answer lost: then the job is read again, and the same epoch in the wanted state means just that.

Moves of the same kind that come together are made in one statement. Should that fail, each is made alone:
what is wrong with one job, or holds its row, is no other's trouble.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.sql.selectable import TextualSelect

from service.backoff import exponential
from service.clock import Clock
from service.database import AnyConnection, Database, is_outage
from service.jobs.gathering import Gathering
from service.jobs.job import Job
from service.jobs.lifecycle import INTEND, START, Move
from service.jobs.moved import tell_of
from service.jobs.store import reads, wishes
from service.jobs.store.writing import Write, make
from service.jobs.telling import is_told, tell_all
from service.telemetry import log
from service.tenants.tenant import Tenant
from service.webhooks.wanted import Wanted

Listener = Callable[[Job], None]
T = TypeVar("T")

TOGETHER_SECONDS = 0.015
"""Moves that come within this time of one another share a statement: reads and submits leave together."""
AT_LEISURE_SECONDS = 0.25
"""The same for a start that nobody is told of. Its job is not read again before."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What can be written in one statement, and in one transaction with what is told of it."""

    statement: TextualSelect
    move: Move
    is_told: bool

    @property
    def within(self) -> float:
        if self.move is INTEND:
            return 0.0  # they were claimed together
        return AT_LEISURE_SECONDS if self.move is START and not self.is_told else TOGETHER_SECONDS


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
        self._gathered: dict[_Kind, Gathering[Write, Job | None]] = {}

    async def move(self, job: Job, move: Move, write: Write) -> Job | None:
        """Make the move; the job after it, or None if it is not ours to move any more."""
        told = await self._until_answered("told?", job, lambda: is_told(job, move.event, self._wanted))
        kind = _Kind(write.statement, move, told)
        gathering = self._gathered.get(kind)
        if gathering is None:
            gathering = Gathering(partial(self._make, kind), within=kind.within)
            self._gathered[kind] = gathering
        try:
            moved = await gathering.do(write)
        except Exception as error:
            log.warning("job.move_again", job_id=str(job.id), move=move.event, error=str(error)[:200])
            moved = await self._until_answered(move.event, job, lambda: self._make_alone(kind, write))
        if moved is None:
            log.info("job.move_refused", job_id=str(job.id), move=move.event, epoch=job.epoch)
        return moved

    async def once(self, connection: AnyConnection, move: Move, write: Write) -> Job | None:
        """A move that is told, in the caller's transaction; the caller calls `announce` after the commit."""
        (moved,) = await self._write(connection, move, [write])
        return moved

    def announce(self, job: Job, moved: Job, move: Move) -> None:
        """Tell of a committed move, and let know who waits for ends."""
        tell_of(job, moved, move)
        if moved.has_ended:
            self._on_told()
            self._on_end(moved)

    async def read(self, job: Job) -> Job | None:
        """The job as it is now, as soon as Postgres answers."""
        return await self._until_answered("read", job, lambda: self._read(job))

    async def note(self, job: Job, event: str, data: dict[str, Any]) -> None:
        """Put something on the timeline that moves nothing, as soon as Postgres answers."""

        async def write() -> Job | None:
            async with self.database.statement() as connection:
                return await wishes.note(connection, job, event=event, data=data)

        await self._until_answered(event, job, write)

    async def finish(self) -> None:
        """Wait until what was begun is written down."""
        for gathering in list(self._gathered.values()):
            await gathering.finish()

    async def _until_answered(self, doing: str, job: Job, act: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await act()
            except Exception as error:
                if not is_outage(error):
                    raise
                failures += 1
                log.warning("database.away", doing=doing, job_id=str(job.id), error=str(error)[:200])
                await asyncio.sleep(exponential(failures, first=0.1, cap=2.0))

    async def _make(self, kind: _Kind, writes: Sequence[Write]) -> list[Job | None]:
        if kind.is_told:
            async with self.database.hot_transaction() as connection:
                made = await self._write(connection, kind.move, writes)
            self._on_told()
        else:
            async with self.database.hot_statement() as connection:
                made = await make(connection, writes)
        for write, moved in zip(writes, made, strict=True):
            if moved is not None:
                self.announce(write.job, moved, kind.move)
        return made

    async def _make_alone(self, kind: _Kind, write: Write) -> Job | None:
        """After a try that failed, or seemed to."""
        (moved,) = await self._make(kind, [write])
        if moved is None:
            current = await self._read(write.job)
            if current and current.epoch == write.job.epoch and current.status is kind.move.reaches:
                self.announce(write.job, current, kind.move)
                moved = current
        return moved

    async def _write(
        self, connection: AnyConnection, move: Move, writes: Sequence[Write]
    ) -> list[Job | None]:
        made = await make(connection, writes)
        if told := [moved for moved in made if moved is not None]:
            await tell_all(connection, told, move.event, public_url=self._public_url)
        return made

    async def _read(self, job: Job) -> Job | None:
        tenant = Tenant(id=job.tenant_id, mode="live" if job.mode == "live" else "test")
        async with self.database.statement() as connection:
            return await reads.find(connection, tenant, job.id)
