"""Looking for work: at a bell, when a place becomes free, and at every tick.

Bells may be lost and Redis may be away: the tick finds everything. It also finds what nobody looks after
any more, waiting jobs whose deadline is over, and wishes to cancel that nobody brought to the upstream.
"""

import asyncio
from collections.abc import Awaitable, Callable

from service.database import is_outage
from service.jobs import ends
from service.jobs.accounts import Accounts
from service.jobs.canceller import Canceller
from service.jobs.job import Job
from service.jobs.leases import Leases
from service.jobs.ledger import Ledger
from service.jobs.lifecycle import EXPIRE, Status
from service.jobs.store import claims, moves, wishes
from service.jobs.submitter import Submitter
from service.jobs.tracker import Tracker
from service.telemetry import log, metrics

GRACE_SECONDS = 5.0
"""How long after a submit's own deadline its owner still has to write down what came of it."""
PLACES_FREED_SECONDS = 0.1
"""Ends come singly and each frees a place: so long they are gathered before the next claim."""
APART_SECONDS = 0.05
"""Between two looks, the first of which is at once: a claim for each bell would cost more than its job."""
OVERDUE_AT_ONCE = 20


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
        self._gathering: asyncio.TimerHandle | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._stopping = False

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def place_freed(self) -> None:
        """A job has ended: its place is free for one that waits."""
        if self._gathering is None:
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
            await self._attempt(self._take_waiting)
            await self._attempt(self._canceller.begin)
            if sweeping:
                await self._attempt(self._take_over)
                await self._attempt(self._expire_waiting)
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
        self.wake()

    async def _take_waiting(self) -> None:
        account = self._accounts.platform
        room = min(self._room, self._submitter.free(account))
        if room <= 0:
            return
        async with self._ledger.database.transaction() as connection:
            claim = await claims.take_waiting(
                connection,
                self._leases.owner,
                token_id=account.token_id,
                places=account.places,
                room=room,
                now=self._ledger.clock(),
            )
        metrics.claimed("waiting", len(claim.jobs))
        for job in claim.jobs:
            self._submitter.begin(job)

    async def _attempt(self, step: Callable[[], Awaitable[None]]) -> None:
        """One step on its own: a fault in it keeps no other from being made."""
        if self._stopping:
            return
        try:
            await step()
        except Exception as error:
            if is_outage(error):
                log.warning("database.away", doing=step.__name__, error=str(error)[:200])
            else:
                log.exception("claimer.fault", step=step.__name__)

    async def _take_over(self) -> None:
        async with self._ledger.database.statement() as connection:
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

    async def _expire_waiting(self) -> None:
        now = self._ledger.clock()
        done: list[tuple[Job, Job]] = []
        async with self._ledger.database.transaction() as connection:
            for job in await wishes.lock_overdue(connection, most=OVERDUE_AT_ONCE, now=now):
                error = ends.expired(job, cancelled=False)
                write = moves.expire.of(job, error=error, cancelled=False, now=now)
                if expired := await self._ledger.once(connection, EXPIRE, write):
                    done.append((job, expired))
        for job, expired in done:
            self._ledger.announce(job, expired, EXPIRE)
