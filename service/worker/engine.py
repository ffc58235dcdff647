"""Everything a worker process does, put together: leases, claimer, submitter, tracker, canceller, sender."""

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client.metrics_core import Metric

from service.clock import Clock, postgres_time
from service.database import Database
from service.jobs.accounts import Accounts
from service.jobs.canceller import Canceller
from service.jobs.claimer import Claimer
from service.jobs.history import History
from service.jobs.job import Job
from service.jobs.late_costs import LateCosts
from service.jobs.leases import Leases
from service.jobs.ledger import Ledger
from service.jobs.overdue import Overdue
from service.jobs.pace import Pace
from service.jobs.pruning import Pruning
from service.jobs.store.claims import Owner
from service.jobs.submitter import Submitter
from service.jobs.tracker import Tracker
from service.queue import Bell
from service.settings import Settings
from service.telemetry import log, metrics
from service.upstream.client import Upstream
from service.upstream.scripted import Scripted
from service.webhooks.feed import Feed
from service.webhooks.sender import Sender

SUBMIT_SLOTS = 100
"""Submits on the wire at once; each takes about a second."""
READ_SLOTS = 200
"""Status reads at once; each takes up to a second. More due than that, and all wait evenly longer."""
CONNECTIONS = 20
CLAIM_SECONDS = 5.0
"""What a claim that is under way gets to come back at the end."""
FAULT_SECONDS = 1.0
HAND_OVER_SECONDS = 0.5
"""What reads on the wire get to finish at the end; then their jobs go to another worker."""


class Engine:
    """One worker process's share of the work. `start`, `wake` at a bell, `stop`."""

    def __init__(self, settings: Settings, *, clock: Clock = postgres_time, pace: Pace | None = None) -> None:
        owner = Owner(
            name=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}", lease=settings.lease_seconds
        )
        self._database = Database(settings.database_url, connections=CONNECTIONS)
        self._bell = Bell(settings.redis_url)
        self._upstream = Upstream.connect(
            settings.upstream_url,
            submit_slots=SUBMIT_SLOTS,
            read_slots=READ_SLOTS,
            submit_deadline=settings.submit_deadline_seconds,
        )
        self._sender = Sender.connect(self._database, settings, owner=owner.name, clock=clock)
        self._feed = Feed(self._database, tick_seconds=settings.tick_seconds)
        self._ledger = Ledger(
            self._database,
            public_url=settings.public_url,
            clock=clock,
            on_told=self._told,
            on_end=self._ended,
        )
        self._accounts = Accounts(
            self._database,
            self._upstream,
            Scripted(settings.public_url),
            vault=settings.vault,
            token=settings.upstream_token,
            places=settings.upstream_max_in_flight,
            slots=SUBMIT_SLOTS,
        )
        self._beats = Database(settings.database_url, connections=1)
        self._leases = Leases(self._beats, owner)
        self._history = History(self._database)
        self._tracker = Tracker(
            self._ledger,
            self._leases,
            self._accounts,
            self._history,
            pace=pace or Pace(settings.poll_cost),
            read_slots=READ_SLOTS,
        )
        self._submitter = Submitter(
            self._ledger,
            self._leases,
            self._accounts,
            slots=SUBMIT_SLOTS,
            follow=self._taken,
            on_free=self._slot_freed,
            on_wish=self.wake,
            rand=random.random,
        )
        self._canceller = Canceller(self._ledger, self._accounts)
        self._claimer = Claimer(
            self._ledger,
            self._leases,
            submitter=self._submitter,
            tracker=self._tracker,
            canceller=self._canceller,
            accounts=self._accounts,
            most_jobs=settings.worker_max_jobs,
            tick=settings.tick_seconds,
            submit_deadline=settings.submit_deadline_seconds,
        )
        self._pruning = Pruning(self._database, days=settings.retention_days, clock=clock, rand=random.random)
        self._overdue = Overdue(self._ledger, tick=settings.tick_seconds)
        self._late_costs = LateCosts(self._ledger, self._accounts, tick=settings.tick_seconds)
        self._loops: dict[str, asyncio.Task[None]] = {}
        self.hears_bells = False
        """Whether somebody listens to Redis for it; its tick finds the same work later."""

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._loop("leases", self._leases.run)
        self._loop("tracker", self._tracker.run)
        self._loop("claimer", self._claimer.run)
        self._loop("overdue", self._overdue.run)
        self._loop("late costs", self._late_costs.run)
        self._loop("accounts", self._accounts.run)
        self._loop("history", self._history.run)
        self._loop("sender", self._sender.run)
        self._loop("feed", self._feed.run)
        self._loop("upkeep", self._pruning.run)
        log.info("worker.started", owner=self._leases.owner.name)

    def wake(self) -> None:
        """Somebody rang."""
        self._claimer.wake()

    def gauges(self) -> list[Metric]:
        """What it is at just now."""
        return metrics.of_worker(
            leases_held=len(self._leases),
            submit_window=self._accounts.platform.window,
            hears_bells=self.hears_bells,
        )

    async def stop(self) -> None:
        """Hand over at once what others can go on with; finish what is on the wire; then let go of all."""
        log.info("worker.stopping", jobs=len(self._leases))
        self._claimer.stop()
        await asyncio.wait([self._loops["claimer"]], timeout=CLAIM_SECONDS)
        await self._end("claimer")
        await self._end("overdue")
        await self._end("tracker")
        await self._hand_over(await self._tracker.stop(patience=HAND_OVER_SECONDS))
        finishing = asyncio.gather(
            self._submitter.finish(), self._canceller.finish(), self._claimer.finish(), self._sender.stop()
        )
        while not finishing.done():
            # A submit that is answered now brings a job that nobody here will follow.
            await asyncio.wait([finishing], timeout=HAND_OVER_SECONDS)
            await self._hand_over(await self._tracker.stop(patience=0))
        await self._ledger.finish()
        for name in list(self._loops):
            await self._end(name)
        await self._bell.close()
        await self._upstream.close()
        await self._sender.close()
        await self._beats.close()
        await self._database.close()
        log.info("worker.stopped")

    def _loop(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loops[name] = asyncio.create_task(_again_and_again(name, run), name=name)

    async def _end(self, name: str) -> None:
        task = self._loops.pop(name)
        task.cancel()
        await asyncio.wait([task])

    def _told(self) -> None:
        self._sender.wake()
        self._feed.wake()

    def _ended(self, job: Job) -> None:
        self._claimer.place_freed()

    def _slot_freed(self) -> None:
        self._claimer.slot_freed()

    def _taken(self, job: Job) -> None:
        self._tracker.follow(job)
        if job.cancel_outcome == "pending":
            self.wake()  # The wish came while the submit was on the wire.

    async def _hand_over(self, jobs: list[Job]) -> None:
        if not jobs:
            return
        try:
            await self._leases.give_back(jobs)
        except Exception:
            # Their leases run out by themselves; what is on the wire must be waited for all the same.
            log.exception("worker.hand_over_failed", jobs=len(jobs))
        self._bell.ring()


async def _again_and_again(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a loop until it returns; a fault that it did not expect begins it anew."""
    while True:
        try:
            return await run()
        except Exception:
            log.exception("worker.fault", loop=name)
            await asyncio.sleep(FAULT_SECONDS)
