"""Looking for work: at a bell, when a place becomes free, and at every tick.

Bells may be lost and Redis may be away: the tick finds everything. It also finds what nobody looks after
any more, what was put back and is due again, and wishes to cancel that nobody brought to the upstream.
"""

import asyncio
import itertools
import math
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from service.database import is_outage
from service.jobs.account import Account
from service.jobs.accounts import Accounts
from service.jobs.canceller import Canceller
from service.jobs.job import Job
from service.jobs.leases import Leases
from service.jobs.ledger import Ledger
from service.jobs.lifecycle import Status
from service.jobs.store import claims, line
from service.jobs.submitter import Submitter
from service.jobs.tracker import Tracker
from service.telemetry import log, metrics

GRACE_SECONDS = 5.0
"""How long after a submit's own deadline its owner still has to write down what came of it."""
PLACES_FREED_SECONDS = 0.1
"""Ends come singly and each frees a place: so long they are gathered before the next claim."""
APART_SECONDS = 0.2
"""Between two looks, the first of which is at once: a claim for each bell would cost more than its job."""
LET_IN_AT_ONCE = 1_000
"""Jobs that were put back and are due again, at each tick."""
ACCOUNTS_AT_ONCE = 20
"""Tenants' own accounts in one look, each of which takes a transaction; the others come in the next."""


class Claimer:
    """Finds jobs for the submitter and the tracker of this process."""

    def __init__(
        self,
        ledger: Ledger,
        leases: Leases,
        *,
        submitter: Submitter,
        tracker: Tracker,
        canceller: Canceller,
        accounts: Accounts,
        most_jobs: int,
        tick: float,
        submit_deadline: float,
    ) -> None:
        self._ledger = ledger
        self._leases = leases
        self._submitter = submitter
        self._tracker = tracker
        self._canceller = canceller
        self._accounts = accounts
        self._most_jobs = most_jobs
        self._tick = tick
        self._unanswered_after = submit_deadline + GRACE_SECONDS
        self._woken = asyncio.Event()
        # What only a look can tell: whether somebody was left in line, and whether for want of a slot.
        self._some_left = self._short_of_slots = True
        self._rung = True
        self._gathering: asyncio.TimerHandle | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._looks = itertools.count()
        self._looked: dict[Account, int] = {}

    def wake(self) -> None:
        """There may be something to do."""
        self._rung = True
        self._woken.set()

    def slot_freed(self) -> None:
        """One more submit can be begun."""
        if self._short_of_slots:
            self._woken.set()

    def place_freed(self) -> None:
        """A job has ended: its place is free for one that waits."""
        if self._some_left and self._gathering is None:
            loop = asyncio.get_running_loop()
            self._gathering = loop.call_later(PLACES_FREED_SECONDS, self._gathered)

    async def run(self) -> None:
        """Look for work until `stop`."""
        loop = asyncio.get_running_loop()
        next_sweep = loop.time()
        while not self._stopping:
            self._woken.clear()
            next_look = loop.time() + APART_SECONDS
            sweeping = loop.time() >= next_sweep
            if sweeping:
                next_sweep = loop.time() + self._tick
                await self._attempt("let in", self._let_in)
            rung, self._rung = self._rung, False
            await self._attempt("claim", self._take_waiting)
            if rung or sweeping:
                await self._attempt("cancel", self._canceller.begin)
            if sweeping:
                await self._attempt("take over", self._take_over)
            try:
                async with asyncio.timeout_at(next_sweep):
                    await self._woken.wait()
            except TimeoutError:
                pass
            if not self._stopping:
                await asyncio.sleep(next_look - loop.time())

    def stop(self) -> None:
        """Claim nothing more: `run` returns after the statement it is at, so that no claim is forgotten."""
        self._stopping = True
        self._woken.set()

    async def finish(self) -> None:
        """Wait until what was begun here is written down."""
        if self._settling:
            await asyncio.wait(self._settling)

    @property
    def _room(self) -> int:
        return max(0, self._most_jobs - len(self._leases))

    def _gathered(self) -> None:
        self._gathering = None
        self._woken.set()

    async def _let_in(self) -> None:
        async with self._ledger.database.hot_statement() as connection:
            await line.let_in(connection, most=LET_IN_AT_ONCE, now=self._ledger.clock())

    async def _take_waiting(self) -> None:
        self._some_left = self._short_of_slots = True
        if self._room == 0:
            return
        async with self._ledger.database.hot_statement() as connection:
            waiting = await line.waiting_accounts(connection)
        self._some_left = bool(waiting)
        accounts = self._in_turn(waiting)
        self._short_of_slots = len(accounts) < len(waiting)
        metrics.labelled(metrics.CLAIMS, "waiting").inc()
        for number, account in enumerate(accounts):
            # Each gets its share of what is free: one that could fill all of it must not keep others out.
            share = math.ceil(self._submitter.slots_free / (len(accounts) - number))
            room = min(self._room, share, self._submitter.free(account))
            await self._attempt("claim", partial(self._take, account, room=room))

    def _in_turn(self, waiting: set[UUID]) -> list[Account]:
        """Those that a submit may be sent with: first what tenants share, then who waited longest."""
        accounts = [self._accounts.of(token_id) for token_id in waiting]
        able = [account for account in accounts if self._submitter.free(account) > 0]
        able.sort(key=lambda account: (not account.is_shared, self._looked.get(account, -1)))
        if len(able) > ACCOUNTS_AT_ONCE:
            self.wake()
        return able[:ACCOUNTS_AT_ONCE]

    async def _take(self, account: Account, *, room: int) -> None:
        self._looked[account] = next(self._looks)
        if room <= 0:
            self._short_of_slots = True
            return
        async with self._ledger.database.hot_transaction() as connection:
            claim = await claims.take_waiting(
                connection,
                self._leases.owner,
                token_id=account.token_id,
                places=account.places,
                room=room,
                now=self._ledger.clock(),
            )
        metrics.labelled(metrics.CLAIMED, "waiting").inc(len(claim.jobs))
        if len(claim.jobs) == room:
            self._short_of_slots = True
        for job in claim.jobs:
            self._submitter.begin(job)

    async def _attempt(self, doing: str, step: Callable[[], Awaitable[None]]) -> None:
        """One step on its own: a fault in it keeps no other from being made."""
        if self._stopping:
            return
        try:
            await step()
        except Exception as error:
            if is_outage(error):
                log.warning("database.away", doing=doing, error=str(error)[:200])
            else:
                log.exception("claimer.fault", step=doing)

    async def _take_over(self) -> None:
        async with self._ledger.database.hot_statement() as connection:
            claim = await claims.take_over(
                connection,
                self._leases.owner,
                room=self._room,
                unanswered_after=self._unanswered_after,
                also_expired=self._leases.is_steady,
                now=self._ledger.clock(),
            )
        metrics.claimed("left_behind", len(claim.jobs))
        for job in claim.jobs:
            log.info("job.taken_over", job_id=str(job.id), status=job.status, epoch=job.epoch)
            if job.status is Status.SUBMITTING:
                self._give_up(job)
            else:
                self._tracker.follow(job, at=claim.at, soon=True)

    def _give_up(self, job: Job) -> None:
        self._leases.hold(job)
        task = asyncio.create_task(self._submitter.give_up(job))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
