"""How many more of a tenant's jobs may wait here: counted now and then, not for each that is accepted.

After a count a process lets in up to a tenth of the room it has found, for at most a second, before it counts
again: near the limit it counts for each. A count never overlaps with what this process stores, so a process
by itself never exceeds the limit. Each further one may, by what it was still to let in while others filled
the queue: by a tenth of the limit, within that second.

Counting reads as many entries of an index as jobs wait: so it is made at most once for a thousandth of the
limit, and a queue that was full counts as full for the time that counting takes (10 ms for a limit of 1,000).
"""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import UUID

from service.database import Database
from service.errors import QueueFullError
from service.jobs.store import backlog as store
from service.telemetry import log
from service.tenants.tenant import Tenant

LIMIT = "max_queued"
"""What the limit is called, where a tenant has it and where a refusal names it."""
REMEMBERED_SECONDS = 1.0
COUNTED_IN_A_SECOND = 100_000
RETRY_SECONDS = 5
"""When a refused caller may ask again: a full queue drains as fast as the upstream works."""


@dataclass(slots=True)
class Count:
    """What a process knows of one tenant's waiting jobs. Times are those of its own clock, in seconds."""

    limit: int = -1
    room: int = 0
    """So many may still be let in before the next count."""
    is_full: bool = False
    good_until: float = 0.0

    def tells(self, jobs: int, *, limit: int, now: float) -> bool:
        """Whether it says what to do with so many jobs, so that no new count is needed."""
        return limit == self.limit and now < self.good_until and (self.is_full or jobs <= self.room)

    def renew(self, waiting: int, *, jobs: int, limit: int, now: float) -> None:
        """So many wait at this time, and so many more want to."""
        free = max(0, limit - waiting)
        self.limit, self.is_full = limit, free == 0
        self.room = min(free, max(jobs, free // 10, limit // 1000))
        self.good_until = now + (limit / COUNTED_IN_A_SECOND if self.is_full else REMEMBERED_SECONDS)


class Backlog:
    """Lets jobs in, as far as their tenants' limits go. One per process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: dict[UUID, _Line] = {}

    def room(self, tenant: Tenant, *, limit: int, jobs: int = 1) -> "Room":
        """Room for as many of these jobs as there is; they are stored while it is entered."""
        line = self._lines.get(tenant.id)
        if line is None:
            line = self._lines[tenant.id] = _Line(self._database, tenant)
        return Room(line, limit, jobs)


class Room:
    """For entering a queue: not a generator, since each request would pay for that."""

    __slots__ = ("_jobs", "_limit", "_line")

    def __init__(self, line: "_Line", limit: int, jobs: int) -> None:
        self._line = line
        self._limit = limit
        self._jobs = jobs

    async def __aenter__(self) -> int:
        """How many of the jobs there is room for."""
        line = self._line
        if not line.count.tells(self._jobs, limit=self._limit, now=time.monotonic()):
            await line.counted(self._jobs, limit=self._limit)
        granted = min(self._jobs, line.count.room)
        line.count.room -= granted
        line.storing += 1
        return granted

    async def __aexit__(self, *_: object) -> None:
        line = self._line
        line.storing -= 1
        if not line.storing:
            line.stored.set()


@dataclass(slots=True)
class _Line:
    database: Database
    tenant: Tenant
    count: Count = field(default_factory=Count)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    storing: int = 0
    stored: asyncio.Event = field(default_factory=asyncio.Event)

    async def counted(self, jobs: int, *, limit: int) -> None:
        """Count, unless somebody has while the lock was waited for."""
        async with self.lock:
            if self.count.tells(jobs, limit=limit, now=time.monotonic()):
                return
            # What is being stored may be counted or not: nothing is let in before that is known.
            self.count.room = 0
            if self.storing:
                self.stored.clear()
                await self.stored.wait()
            async with self.database.of_tenant(self.tenant.id) as connection:
                waiting = await store.waiting(connection, self.tenant, most=limit)
            self.count.renew(waiting, jobs=jobs, limit=limit, now=time.monotonic())
            if self.count.is_full:
                log.info("limit.reached", limit=LIMIT, tenant_id=str(self.tenant.id), most=limit)


def full(limit: int) -> QueueFullError:
    """What a job is refused with for which there is no room."""
    return QueueFullError(
        f"This tenant may have {limit:,} jobs waiting here, and has.", limit=LIMIT, retry_after=RETRY_SECONDS
    )
