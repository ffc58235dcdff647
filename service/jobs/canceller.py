"""Bringing wishes to cancel to the upstream, whoever owns the job: it answers, and its word is written down.

While the upstream cannot be heard the wish stays pending and is brought again.
"""

import asyncio
from typing import assert_never

from service.jobs.accounts import Accounts
from service.jobs.job import Job
from service.jobs.ledger import Ledger
from service.jobs.lifecycle import CANCEL, Status
from service.jobs.store import moves, wishes
from service.telemetry import log
from service.upstream.outcomes import (
    Cancelled,
    Denied,
    Garbled,
    Missing,
    NotCancellable,
    Throttled,
    Unreachable,
)

AT_ONCE = 50


class Canceller:
    """Asks the upstream for each wish that is due."""

    def __init__(self, ledger: Ledger, accounts: Accounts) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Take the wishes that are due and bring each in a task of its own."""
        room = AT_ONCE - len(self._tasks)
        if room <= 0:
            return
        async with self._ledger.database.hot_statement() as connection:
            due = await wishes.take_due(connection, most=room)
        for job in due:
            task = asyncio.create_task(self._cancel(job), name=f"cancel {job.id}")
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def finish(self) -> None:
        """Wait for those under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("cancel.fault", task=task.get_name(), exc_info=error)

    async def _cancel(self, job: Job) -> None:
        if job.status is Status.ACCEPTED:
            # It was put back after the wish: nothing of it is at the upstream.
            await self._end(job)
            return
        assert job.upstream_id is not None
        outcome = await self._accounts.of(job.token_id).cancel(job.upstream_id)
        log.info("cancel.answered", job_id=str(job.id), outcome=type(outcome).__name__)
        match outcome:
            case Cancelled():
                await self._end(job)
            case NotCancellable():
                async with self._ledger.database.statement() as connection:
                    await wishes.refuse(connection, job)
            case Denied() | Missing() | Throttled() | Unreachable() | Garbled():
                pass  # It is due again soon.
            case _:
                assert_never(outcome)

    async def _end(self, job: Job) -> None:
        write = moves.cancel.of(job, asked=False, now=self._ledger.clock())
        await self._ledger.move(job, CANCEL, write)
