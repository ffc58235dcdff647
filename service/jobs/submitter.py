"""Submitting: the intent first, then the POST, then what became of it.

A submit costs money and cannot be repeated or looked up. So the intent is committed before the first byte
leaves, nothing leaves when too much time has passed since, and what became of it is one of three: taken,
not taken (the job waits for another submit), or unknown, which is never repeated unless the job says so.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, assert_never

from service.backoff import Random, exponential
from service.jobs import ends
from service.jobs.account import Account
from service.jobs.accounts import Accounts
from service.jobs.job import Job
from service.jobs.leases import Leases
from service.jobs.ledger import Ledger
from service.jobs.lifecycle import FAIL, INTEND, PUT_BACK, TAKE
from service.jobs.store import moves
from service.jobs.store.writing import Write
from service.telemetry import log
from service.upstream.outcomes import (
    Accepted,
    Denied,
    Refused,
    SubmitOutcome,
    Throttled,
    Uncertain,
    Unreachable,
)

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 60.0
ACCOUNT_BACKOFF = 15.0
"""First wait when the account is at fault: nothing but an operator changes that."""
MOST_UNCONFIRMED = 3
"""Submits of one job of which nobody knows: each may have been charged, so `resubmit` ends here."""
LATE_ANSWER = "job.late_answer"


class Submitter:
    """Submits claimed jobs, each in a task of its own, so many at once."""

    def __init__(
        self,
        ledger: Ledger,
        leases: Leases,
        accounts: Accounts,
        *,
        slots: int,
        follow: Callable[[Job], None],
        on_free: Callable[[], None],
        on_wish: Callable[[], None],
        rand: Random,
    ) -> None:
        """`follow` takes over a job that was taken; `on_free` hears that a slot is free.

        `on_wish` hears that a job was put back that is to be cancelled.
        """
        self._ledger = ledger
        self._leases = leases
        self._accounts = accounts
        self._slots = slots
        self._follow = follow
        self._on_free = on_free
        self._on_wish = on_wish
        self._rand = rand
        self._tasks: dict[asyncio.Task[None], Account] = {}
        self._on_wire: Counter[Account] = Counter()

    @property
    def slots_free(self) -> int:
        """How many more jobs can be begun at all."""
        return self._slots - len(self._tasks)

    def free(self, account: Account) -> int:
        """How many more jobs of this account can be begun, as far as the upstream lets us."""
        return min(self.slots_free, account.window - self._on_wire[account])

    def begin(self, job: Job) -> None:
        """Submit a job that was just claimed."""
        self._leases.hold(job)
        account = self._accounts.of(job.token_id)
        task = asyncio.create_task(self._guarded(job, self._submit(job, account)))
        self._tasks[task] = account
        self._on_wire[account] += 1
        task.add_done_callback(self._done)

    async def finish(self) -> None:
        """Wait until nothing is on the wire and every answer is written down."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def give_up(self, job: Job) -> None:
        """Settle a submit whose owner died before it wrote down an answer: nobody knows."""
        await self._guarded(
            job, self._settle_unknown(job, "the worker that sent it stopped before it had an answer")
        )

    def _done(self, task: asyncio.Task[None]) -> None:
        account = self._tasks.pop(task)
        self._on_wire[account] -= 1
        if not self._on_wire[account]:
            del self._on_wire[account]
        self._on_free()

    async def _guarded(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            # Left as it is; whoever takes over a job that stays `submitting` settles it as unknown.
            log.exception("submit.fault", job_id=str(job.id))
            self._leases.drop(job)

    async def _submit(self, job: Job, account: Account) -> None:
        began = time.monotonic()
        owner = self._leases.owner
        intended = await self._ledger.move(job, INTEND, moves.intend.of(job, owner))
        if intended is None:
            self._leases.drop(job)
            return
        self._leases.hold(intended)
        outcome = await account.submit(intended.model, intended.input, not_after=began + owner.lease / 2)
        log.info(
            "submit.answered",
            job_id=str(job.id),
            submit=intended.submits,
            outcome=type(outcome).__name__,
            upstream_id=outcome.request_id if isinstance(outcome, Accepted) else None,
            seconds=round(time.monotonic() - began, 3),
        )
        await self._record(intended, outcome)

    async def _record(self, job: Job, outcome: SubmitOutcome) -> None:
        match outcome:
            case Accepted(request_id):
                await self._keep(job, request_id)
            case Refused():
                await self._fail(job, outcome)
            case Denied(message):
                wait = self._backoff(job, first=ACCOUNT_BACKOFF)
                await self._put_back(job, reason=message, waiting_for="upstream_account", wait=wait)
            case Throttled(retry_after):
                wait = max(self._backoff(job), retry_after or 0.0)
                reason = "the upstream asks to wait"
                await self._put_back(job, reason=reason, waiting_for="upstream_limit", wait=wait)
            case Unreachable(reason):
                await self._put_back(job, reason=reason, waiting_for="backoff", wait=self._backoff(job))
            case Uncertain(reason):
                await self._settle_unknown(job, reason)
            case _:
                assert_never(outcome)

    async def _keep(self, job: Job, request_id: str) -> None:
        write = moves.take.of(job, self._leases.owner, upstream_id=request_id)
        taken = await self._ledger.move(job, TAKE, write)
        if taken is None:
            await self._note_late(job, request_id)
            self._leases.drop(job)
        elif taken.epoch == job.epoch:
            self._follow(taken)
        else:
            self._leases.drop(job)  # Another worker owns it by now, and finds it taken.

    async def _fail(self, job: Job, outcome: Refused) -> None:
        error = ends.refused(job, outcome)
        now = self._ledger.clock()
        write = moves.fail_submit.of(job, error=error, unconfirmed=False, now=now)
        await self._ledger.move(job, FAIL, write)
        self._leases.drop(job)

    async def _put_back(self, job: Job, *, reason: str, waiting_for: str, wait: float) -> None:
        write = moves.put_back.of(
            job,
            reason=reason[: ends.LONGEST_MESSAGE],
            waiting_for=waiting_for,
            wait=wait,
            unconfirmed=False,
            now=self._ledger.clock(),
        )
        await self._move_back(job, write)
        self._leases.drop(job)

    async def _settle_unknown(self, job: Job, reason: str) -> None:
        now = self._ledger.clock()
        if job.on_unconfirmed == "resubmit" and job.unconfirmed + 1 < MOST_UNCONFIRMED:
            write = moves.put_back.of(
                job,
                reason=reason[: ends.LONGEST_MESSAGE],
                waiting_for="backoff",
                wait=self._backoff(job),
                unconfirmed=True,
                now=now,
            )
            await self._move_back(job, write)
        else:
            error = ends.unconfirmed(reason)
            write = moves.fail_submit.of(job, error=error, unconfirmed=True, now=now)
            await self._ledger.move(job, FAIL, write)
        self._leases.drop(job)

    async def _move_back(self, job: Job, write: Write) -> None:
        back = await self._ledger.move(job, PUT_BACK, write)
        if back is not None and back.cancel_outcome == "pending":
            self._on_wish()

    async def _note_late(self, job: Job, request_id: str) -> None:
        """The job was settled without this answer: put down its id, so that the charge can be found."""
        data = {"submit": job.submits, "upstream_request_id": request_id}
        log.warning("submit.late_answer", job_id=str(job.id), **data)
        current = await self._ledger.read(job)
        if current is None or current.upstream_id != request_id:  # else it is our own commit, and older
            await self._ledger.note(job, LATE_ANSWER, data)

    def _backoff(self, job: Job, *, first: float = FIRST_BACKOFF) -> float:
        failures = job.refusals + job.unconfirmed + 1
        return exponential(failures, first=first, cap=LONGEST_BACKOFF, rand=self._rand)
