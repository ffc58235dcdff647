"""Following the jobs that the upstream has: thousands in a process, a heap of next reads, no task per job."""

import asyncio
import heapq
import itertools
import math
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from service.jobs.accounts import Accounts
from service.jobs.followed import Followed
from service.jobs.history import History
from service.jobs.job import Job
from service.jobs.leases import Leases
from service.jobs.ledger import Ledger
from service.jobs.pace import Pace
from service.jobs.reader import Reader
from service.telemetry import log

BEAT_SECONDS = 0.1
"""Reads leave on the beat that is nearest to their time, those of the same beat together: waking up for each
takes twice the CPU."""


class Tracker:
    """Has each followed job read at its pace, until there is an end to write."""

    def __init__(
        self,
        ledger: Ledger,
        leases: Leases,
        accounts: Accounts,
        history: History,
        *,
        pace: Pace,
        read_slots: int,
    ) -> None:
        self._leases = leases
        self._accounts = accounts
        self._longest_wait = pace.longest
        self._reader = Reader(
            ledger,
            history,
            pace=pace,
            is_current=self._is_current,
            seen_queued=self._seen_queued,
            drop=self._drop,
        )
        self._slots = asyncio.Semaphore(read_slots)
        self._followed: dict[UUID, Followed] = {}
        self._heap: list[tuple[float, int, Followed]] = []  # when due; the number parts what is due together
        self._numbers = itertools.count()
        self._earlier = asyncio.Event()
        self._reads: set[asyncio.Task[None]] = set()
        leases.on_lost(self._forget)

    def follow(self, job: Job, *, at: datetime | None = None, soon: bool = False) -> None:
        """Begin to read a job that is ours. `at` is the time now, if it was not just submitted."""
        followed = Followed.of(job, self._accounts.of(job.token_id), at=at)
        self._leases.hold(job)
        self._followed[job.id] = followed
        self._schedule(followed, 0.0 if soon else self._reader.wait(followed))

    async def run(self) -> None:
        """Read what is due, for ever; when all slots are taken everything waits evenly longer."""
        loop = asyncio.get_running_loop()
        while True:
            self._earlier.clear()
            wait = self._heap[0][0] - loop.time() if self._heap else None
            if wait is None or wait > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._earlier.wait()
                continue
            _, _, followed = heapq.heappop(self._heap)
            if not self._is_current(followed):
                continue
            await self._slots.acquire()
            task = asyncio.create_task(self._visit(followed))
            self._reads.add(task)
            task.add_done_callback(self._reads.discard)

    async def stop(self, *, patience: float) -> list[Job]:
        """Let reads under way finish for `patience` seconds; returns the jobs that are still followed."""
        if self._reads:
            await asyncio.wait(self._reads, timeout=patience)
        for task in self._reads:
            task.cancel()
        left = [followed.job for followed in self._followed.values()]
        self._followed.clear()
        return left

    def _is_current(self, followed: Followed) -> bool:
        """Not dropped, nor replaced by a later claim of the same job."""
        return self._followed.get(followed.job.id) is followed

    def _seen_queued(self, followed: Followed, position: int | None) -> None:
        if self._is_current(followed):
            self._leases.hold(followed.job, position=position)

    def _drop(self, followed: Followed) -> None:
        if self._is_current(followed):
            self._forget(followed.job.id)
        self._leases.drop(followed.job)

    def _forget(self, job_id: UUID) -> None:
        self._followed.pop(job_id, None)

    def _schedule(self, followed: Followed, wait: float) -> None:
        now = asyncio.get_running_loop().time()
        beats = round(min(now + wait, max(followed.expires, now)) / BEAT_SECONDS)
        at = max(beats, math.ceil(now / BEAT_SECONDS)) * BEAT_SECONDS
        if at < followed.expires < at + BEAT_SECONDS:
            at += BEAT_SECONDS  # its last read is not before its deadline
        heapq.heappush(self._heap, (at, next(self._numbers), followed))
        if self._heap[0][2] is followed:
            self._earlier.set()

    async def _visit(self, followed: Followed) -> None:
        try:
            wait = await self._reader.look(followed)
        except Exception:
            log.exception("tracker.fault", job_id=str(followed.job.id))
            wait = self._longest_wait
        finally:
            self._slots.release()
        if self._is_current(followed):
            self._schedule(followed, wait * followed.account.pressure.stretch)
