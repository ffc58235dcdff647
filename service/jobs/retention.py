"""What is old is removed: jobs with their timelines and what was told of them, keys, secrets, other events.

In small steps, each a transaction of its own, with a pause as long as the step between them: so nobody waits
for it, half of one connection is the most it takes, and wherever it is cut off nothing is half done. One at a
time, by a lock of Postgres's that ends with its holder.

A job is kept while anything of it is still to be delivered or held; what it was stays in the usage. Who did
what (the audit log) and API keys, which it names, are kept for ever.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from service.clock import Clock
from service.database import Database, is_outage
from service.ids import CLOCKS_APART, first_of
from service.jobs.store import pruning as store
from service.telemetry import log
from service.webhooks.store import pruning as telling

JOBS_AT_ONCE = 100
ROWS_AT_ONCE = 500
"""Of what has nothing hanging on it."""
FOR_EVER = 0
"""As a number of days."""

_FIRST = UUID(int=0)


class BusyError(Exception):
    """Somebody else is removing what is old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How much was removed so far, or would be; `undelivered` are jobs kept for what is to be delivered."""

    jobs: int = 0
    undelivered: int = 0
    idempotency_keys: int = 0
    events: int = 0
    secrets: int = 0


async def prune(
    database: Database, *, days: int, clock: Clock, is_dry: bool = False
) -> AsyncGenerator[Pruned, None]:
    """Remove what is older than so many days, or for 0 only keys; tells after each step how far it is.

    If `is_dry` nothing is removed, only counted; else it raises BusyError where somebody is at it.
    """
    async with nullcontext() if is_dry else _alone(database):
        async with database.statement() as connection:
            now = await store.time(connection, now=clock())
        steps = _Steps(database, now=now, before=now - timedelta(days=days), is_dry=is_dry)
        kinds = [steps.keys] if days == FOR_EVER else [steps.keys, steps.jobs, steps.events, steps.secrets]
        loop, pruned = asyncio.get_running_loop(), Pruned()
        for step in kinds:
            after: UUID | None = _FIRST
            while after is not None:
                began = loop.time()
                pruned, after = await step(pruned, after)
                yield pruned
                await asyncio.sleep(loop.time() - began)


class _Steps:
    """Each removes some of its kind after the id it is given, and tells where to go on."""

    def __init__(self, database: Database, *, now: datetime, before: datetime, is_dry: bool) -> None:
        self._database = database
        self._now = now
        self._before = before
        self._is_dry = is_dry

    async def keys(self, so_far: Pruned, after: UUID) -> tuple[Pruned, UUID | None]:
        async with self._database.statement() as connection:
            removed = await store.remove_keys(
                connection,
                after=after,
                last=first_of(self._now, margin=CLOCKS_APART),
                now=self._now,
                most=ROWS_AT_ONCE,
                is_dry=self._is_dry,
            )
        so_far = replace(so_far, idempotency_keys=so_far.idempotency_keys + len(removed))
        return so_far, removed[-1] if len(removed) == ROWS_AT_ONCE else None

    async def jobs(self, so_far: Pruned, after: UUID) -> tuple[Pruned, UUID | None]:
        async with self._database.statement() as connection:
            old, further = await store.scan(
                connection, after=after, last=self._last, before=self._before, most=JOBS_AT_ONCE
            )
            undelivered = await telling.undelivered(connection, old, lock=False)
        ready = [job_id for job_id in old if job_id not in undelivered]
        removed = ready if self._is_dry else await self._removed(ready)
        return replace(
            so_far, jobs=so_far.jobs + len(removed), undelivered=so_far.undelivered + len(undelivered)
        ), further

    async def events(self, so_far: Pruned, after: UUID) -> tuple[Pruned, UUID | None]:
        async with self._database.transaction() as connection:
            old, further = await telling.scan(
                connection, after=after, last=self._last, before=self._before, most=ROWS_AT_ONCE
            )
            removed = await telling.remove(connection, old, is_dry=self._is_dry)
        return replace(so_far, events=so_far.events + removed), further

    async def secrets(self, so_far: Pruned, _: UUID) -> tuple[Pruned, UUID | None]:
        async with self._database.statement() as connection:
            removed = await telling.remove_secrets(connection, before=self._before, is_dry=self._is_dry)
        return replace(so_far, secrets=removed), None

    async def _removed(self, job_ids: list[UUID]) -> list[UUID]:
        """What could be removed of these: what somebody else is at is left for the next time."""
        if not job_ids:
            return []
        try:
            async with self._database.transaction() as connection:
                locked = await store.lock(connection, job_ids, before=self._before)
                undelivered = await telling.undelivered(connection, locked, lock=True)
                removed = [job_id for job_id in locked if job_id not in undelivered]
                await telling.remove_about(connection, removed)
                await store.remove(connection, removed)
        except Exception as error:
            # If Postgres is away, the next step will find that out.
            if not is_outage(error):
                raise
            log.warning("retention.step_failed", jobs=len(job_ids), error=str(error)[:200])
            return []
        return removed

    @property
    def _last(self) -> UUID:
        """What happened before has an id before this one."""
        return first_of(self._before, margin=CLOCKS_APART)


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[None]:
    async with database.statement() as connection:
        if not await store.begin_alone(connection):
            raise BusyError
        try:
            yield
        finally:
            await store.end_alone(connection)
