"""One read of a job's status, and all that follows from it.

A read that teaches nothing (no answer, HTML, an unknown word, an account in trouble) never ends a job: it is
read again later. Only a result ends it, or the upstream's word that it was cancelled, or its deadline.
"""

import asyncio
from collections.abc import Callable
from typing import assert_never

from service.jobs import ends, late_costs
from service.jobs.followed import Followed
from service.jobs.history import History
from service.jobs.ledger import Ledger
from service.jobs.lifecycle import CANCEL, COMPLETE, EXPIRE, FAIL, START, Move, Status
from service.jobs.pace import Pace
from service.jobs.store import moves
from service.jobs.store.writing import Write
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


class Reader:
    """Reads followed jobs, and ends them when there is an end to write."""

    def __init__(
        self,
        ledger: Ledger,
        history: History,
        *,
        pace: Pace,
        is_current: Callable[[Followed], bool],
        seen_queued: Callable[[Followed, int | None], None],
        drop: Callable[[Followed], None],
    ) -> None:
        """`seen_queued` hears of a job's place, `drop` of one that is not to be followed any more."""
        self._ledger = ledger
        self._history = history
        self._pace = pace
        self._is_current = is_current
        self._seen_queued = seen_queued
        self._drop = drop

    async def look(self, followed: Followed) -> float:
        """Read once and act on it; returns the seconds until the next read, if there is one."""
        sent = asyncio.get_running_loop().time()
        upstream_id = followed.job.upstream_id
        assert upstream_id is not None, "only a job that was taken is followed"
        outcome = await followed.account.status(upstream_id)
        match outcome:
            case InQueue(position):
                followed.absence.seen()
                followed.course.seen_queued(sent, position)
                self._seen_queued(followed, position)
                wait = self.wait(followed)
            case Running():
                followed.absence.seen()
                followed.course.seen_running(sent)
                self._start(followed)
                wait = self.wait(followed)
            case Finished():
                wait = await self._settle(followed, upstream_id)
            case _:
                wait = await self._unheard(followed, outcome)
        if sent >= followed.expires and self._is_current(followed):
            await self._expire(followed, upstream_id, queued=isinstance(outcome, InQueue))
        return wait

    def wait(self, followed: Followed, *, learnt: bool = True) -> float:
        """The seconds until its next read; `learnt` unless the last one taught nothing."""
        times = self._history.of(followed.job.model)
        now = asyncio.get_running_loop().time()
        return self._pace.wait(followed.course, times, now, learnt=learnt)

    def _start(self, followed: Followed) -> None:
        if followed.job.status is Status.IN_QUEUE and followed.starting is None:
            followed.starting = asyncio.create_task(self._started(followed))

    async def _started(self, followed: Followed) -> None:
        job = followed.job
        try:
            started = await self._ledger.move(job, START, moves.start.of(job))
            if started is None:
                self._drop(followed)
            else:
                followed.job = started
        except Exception:
            log.exception("tracker.fault", job_id=str(job.id))
        finally:
            followed.starting = None

    async def _settle(self, followed: Followed, upstream_id: str) -> float:
        """Ask for the result, which alone says how it ended."""
        now, seen = self._ledger.clock(), asyncio.get_running_loop().time()
        outcome = await followed.account.result(upstream_id)
        if not isinstance(outcome, Missing):
            followed.absence.seen()
        if followed.starting is not None:
            await followed.starting
        job = followed.job
        match outcome:
            case Succeeded(output, seconds, cost):
                wait = late_costs.first_wait(job, followed.account, cost)
                write = moves.complete.of(job, output=output, cost=cost, cost_wait=wait, now=now)
                await self._end(followed, COMPLETE, write)
                self._learn(followed, seconds, seen=seen)
            case Failed():
                wait = late_costs.first_wait(job, followed.account, outcome.cost)
                error, cost = ends.failed(outcome), outcome.cost
                write = moves.fail.of(job, error=error, cost=cost, cost_wait=wait, now=now)
                await self._end(followed, FAIL, write)
                self._learn(followed, None, seen=seen)
            case Cancelled():
                await self._end(followed, CANCEL, moves.cancel.of(job, asked=False, now=now))
            case InQueue() | Running():
                pass
            case _:
                return await self._unheard(followed, outcome)
        return self.wait(followed, learnt=False)

    def _learn(self, followed: Followed, seconds: float | None, *, seen: float) -> None:
        """Count how long it took, if its beginning was seen here."""
        if followed.created is None or followed.job.mode == "test":  # whose times are made up
            return
        at = None if seconds is None else followed.created + seconds
        self._history.ended(followed.job.model, *followed.course.ended(seen, at=at))

    async def _unheard(self, followed: Followed, outcome: Unheard) -> float:
        """Nothing was learnt: say so, and wait. Only a 404 that stays is believed."""
        log.warning("upstream.unheard", job_id=str(followed.job.id), outcome=str(outcome)[:300])
        wait = self.wait(followed, learnt=False)
        match outcome:
            case Missing():
                await self._miss(followed)
            case Throttled(retry_after):
                return max(wait, retry_after or 0.0)
            case Denied():
                return self._pace.longest
            case Unreachable() | Garbled():
                pass
            case _:
                assert_never(outcome)
        return wait

    async def _miss(self, followed: Followed) -> None:
        if followed.absence.is_believed(asyncio.get_running_loop().time()):
            error, now = ends.forgotten(), self._ledger.clock()
            await self._end(followed, FAIL, moves.fail.of(followed.job, error=error, now=now))

    async def _expire(self, followed: Followed, upstream_id: str, *, queued: bool) -> None:
        """The deadline is over and the last read brought no end: take it out of the queue if it is there."""
        if followed.starting is not None:
            await followed.starting
        job, now = followed.job, self._ledger.clock()
        cancelled = queued and isinstance(await followed.account.cancel(upstream_id), Cancelled)
        error = ends.expired(job, cancelled=cancelled)
        cost_wait = None if cancelled else late_costs.first_wait(job, followed.account, None)
        write = moves.expire.of(job, error=error, cancelled=cancelled, cost_wait=cost_wait, now=now)
        await self._end(followed, EXPIRE, write)

    async def _end(self, followed: Followed, move: Move, write: Write) -> None:
        await self._ledger.move(followed.job, move, write)
        self._drop(followed)
