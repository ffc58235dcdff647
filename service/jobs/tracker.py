"""Following the jobs that the upstream has: thousands in one process, a heap of next reads, no task per job.

A read that teaches nothing (no answer, HTML, an unknown word, an account in trouble) never ends a job: it is
read again later. Only a result ends it, or the upstream's word that it was cancelled, or its deadline.
"""

import asyncio
import heapq
import itertools
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import assert_never
from uuid import UUID

from service.jobs import ends
from service.jobs.absence import Absence
from service.jobs.account import Account
from service.jobs.accounts import Accounts
from service.jobs.job import Job
from service.jobs.leases import Leases
from service.jobs.ledger import Ledger, Write
from service.jobs.lifecycle import CANCEL, COMPLETE, EXPIRE, FAIL, START, Move, Status
from service.jobs.pace import Pace
from service.jobs.store import moves
from service.telemetry import log
from service.upstream.outcomes import (
    Cancelled,
    Denied,
    Failed,
    Finished,
    Garbled,
    InQueue,
    Missing,
    Running,
    Succeeded,
    Throttled,
    Unheard,
    Unreachable,
)

BEAT_SECONDS = 0.05
"""Reads leave on the beat, those of the same beat together: waking up for each takes twice the CPU."""


@dataclass(slots=True)
class _Followed:
    """A job with what only this process remembers of it. Times are the event loop's."""

    job: Job
    account: Account
    expires: float
    absence: Absence
    wait: float = 0.0


class Tracker:
    """Reads each followed job at its pace, and ends it when there is an end to write."""

    def __init__(
        self,
        ledger: Ledger,
        leases: Leases,
        accounts: Accounts,
        *,
        pace: Pace,
        read_slots: int,
    ) -> None:
        self._ledger = ledger
        self._leases = leases
        self._accounts = accounts
        self._pace = pace
        self._slots = asyncio.Semaphore(read_slots)
        self._followed: dict[UUID, _Followed] = {}
        self._heap: list[tuple[float, int, _Followed]] = []  # when due; the number parts what is due together
        self._numbers = itertools.count()
        self._earlier = asyncio.Event()
        self._reads: set[asyncio.Task[None]] = set()
        leases.on_lost(self._forget)

    def follow(self, job: Job, *, at: datetime | None = None, soon: bool = False) -> None:
        """Begin to read a job that is ours. `at` is the time now, if it was not just submitted."""
        now, taken = asyncio.get_running_loop().time(), job.submitted_at or job.created_at
        clock = at or taken
        followed = _Followed(
            job=job,
            account=self._accounts.of(job.token_id),
            expires=now + (job.expires_at - clock).total_seconds(),
            absence=Absence(taken=now - (clock - taken).total_seconds()),
        )
        self._leases.hold(job)
        self._followed[job.id] = followed
        self._schedule(followed, 0.0 if soon else self._pace.next(0.0))

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

    def _is_current(self, followed: _Followed) -> bool:
        """Not dropped, nor replaced by a later claim of the same job."""
        return self._followed.get(followed.job.id) is followed

    def _forget(self, job_id: UUID) -> None:
        self._followed.pop(job_id, None)

    def _schedule(self, followed: _Followed, wait: float) -> None:
        loop = asyncio.get_running_loop()
        at = min(loop.time() + wait, max(followed.expires, loop.time()))
        at = math.ceil(at / BEAT_SECONDS) * BEAT_SECONDS
        heapq.heappush(self._heap, (at, next(self._numbers), followed))
        if self._heap[0][2] is followed:
            self._earlier.set()

    async def _visit(self, followed: _Followed) -> None:
        try:
            wait = await self._look(followed)
        except Exception:
            log.exception("tracker.fault", job_id=str(followed.job.id))
            wait = self._pace.longest
        finally:
            self._slots.release()
        if self._is_current(followed):
            self._schedule(followed, wait * followed.account.pressure.stretch)

    async def _look(self, followed: _Followed) -> float:
        """Read once and act on it; returns the seconds until the next read, if there is one."""
        late = asyncio.get_running_loop().time() >= followed.expires
        followed.wait = self._pace.next(followed.wait)
        upstream_id = followed.job.upstream_id
        assert upstream_id is not None, "only a job that was taken is followed"
        outcome = await followed.account.status(upstream_id)
        match outcome:
            case InQueue(position):
                followed.absence.seen()
                if self._is_current(followed):
                    self._leases.hold(followed.job, position=position)
                wait = followed.wait
            case Running():
                followed.absence.seen()
                await self._started(followed)
                wait = followed.wait
            case Finished():
                wait = await self._settle(followed, upstream_id)
            case _:
                wait = await self._unheard(followed, outcome)
        if late and self._is_current(followed):
            await self._expire(followed, upstream_id, queued=isinstance(outcome, InQueue))
        return wait

    async def _started(self, followed: _Followed) -> None:
        job = followed.job
        if job.status is not Status.IN_QUEUE:
            return
        started = await self._ledger.move(job, START, partial(moves.start, job=job))
        if started is None:
            self._drop(followed)
        else:
            followed.job = started

    async def _settle(self, followed: _Followed, upstream_id: str) -> float:
        """Ask for the result, which alone says how it ended."""
        job, now = followed.job, self._ledger.clock()
        outcome = await followed.account.result(upstream_id)
        if not isinstance(outcome, Missing):
            followed.absence.seen()
        match outcome:
            case Succeeded(output):
                write = partial(moves.complete, job=job, output=output, now=now)
                await self._end(followed, COMPLETE, write)
            case Failed():
                write = partial(moves.fail, job=job, error=ends.failed(outcome), now=now)
                await self._end(followed, FAIL, write)
            case Cancelled():
                write = partial(moves.cancel, job=job, asked=False, now=now)
                await self._end(followed, CANCEL, write)
            case InQueue() | Running():
                pass
            case _:
                return await self._unheard(followed, outcome)
        return followed.wait

    async def _unheard(self, followed: _Followed, outcome: Unheard) -> float:
        """Nothing was learnt: say so, and wait. Only a 404 that stays is believed."""
        log.warning("upstream.unheard", job_id=str(followed.job.id), outcome=str(outcome)[:300])
        match outcome:
            case Missing():
                await self._miss(followed)
            case Throttled(retry_after):
                return max(followed.wait, retry_after or 0.0)
            case Denied():
                return self._pace.longest
            case Unreachable() | Garbled():
                pass
            case _:
                assert_never(outcome)
        return followed.wait

    async def _miss(self, followed: _Followed) -> None:
        if followed.absence.is_believed(asyncio.get_running_loop().time()):
            job = followed.job
            write = partial(moves.fail, job=job, error=ends.forgotten(), now=self._ledger.clock())
            await self._end(followed, FAIL, write)

    async def _expire(self, followed: _Followed, upstream_id: str, *, queued: bool) -> None:
        """The deadline is over and the last read brought no end: take it out of the queue if it is there."""
        job = followed.job
        cancelled = queued and isinstance(await followed.account.cancel(upstream_id), Cancelled)
        error = ends.expired(job, cancelled=cancelled)
        write = partial(moves.expire, job=job, error=error, cancelled=cancelled, now=self._ledger.clock())
        await self._end(followed, EXPIRE, write)

    async def _end(self, followed: _Followed, move: Move, write: Write) -> None:
        await self._ledger.move(followed.job, move, write)
        self._drop(followed)

    def _drop(self, followed: _Followed) -> None:
        if self._is_current(followed):
            self._forget(followed.job.id)
        self._leases.drop(followed.job)
