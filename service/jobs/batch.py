"""Many requests of one tenant are accepted at once, and each has an outcome of its own.

They are stored by one statement, which commits all that is new among them; then the bell is rung once. Two
with the same key are two requests that come one after the other: the second finds what the first has made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from service.bell import Bell
from service.clock import Clock
from service.database import Database, is_outage
from service.errors import NotFoundError, ServiceError, UnavailableError
from service.ids import uuid7
from service.jobs import reading
from service.jobs.accept import Acceptance, stored
from service.jobs.backlog import Backlog, full
from service.jobs.idempotency import check_same
from service.jobs.job import Job
from service.jobs.request import Request
from service.jobs.store import batch as store
from service.jobs.store import reads
from service.jobs.store.accept import Once
from service.jobs.store.batch import Named
from service.jobs.store.reads import UsedKey
from service.jobs.storing import lost
from service.telemetry import metrics
from service.tenants.tenant import Tenant
from service.webhooks.store import Progress

Outcome: TypeAlias = Acceptance | ServiceError
_Times: TypeAlias = Mapping[UUID, tuple[datetime, datetime]]


@dataclass(frozen=True, slots=True)
class Item:
    """A valid request, and the key it is accepted once for, if any."""

    request: Request
    once: Once | None


async def accept_all(
    database: Database,
    tenant: Tenant,
    items: Sequence[Item],
    *,
    backlog: Backlog,
    limit: int,
    bell: Bell,
    clock: Clock,
) -> list[Outcome]:
    """What became of each item, in their order. `limit` is how many of the tenant's jobs may wait."""
    named = [Named(uuid7(), item.request, item.once) for item in items]
    outcomes: dict[UUID, Outcome] = {}
    firsts = _firsts(named)
    async with backlog.room(tenant, limit=limit, jobs=len(firsts)) as room:
        if room < len(firsts):
            # What was accepted before needs no room.
            used = await _used(database, tenant, firsts)
            firsts = [item for item in firsts if item.once is None or item.once.key not in used]
        outcomes |= {item.id: full(limit) for item in firsts[room:]}
        outcomes |= await _stored(database, tenant, firsts[:room], clock=clock)
    new = [outcome for outcome in outcomes.values() if isinstance(outcome, Acceptance)]
    for acceptance in new:
        metrics.ACCEPTED.labels(acceptance.job.model).inc()
    if new:
        bell.ring()
    told = {item.once.key: outcomes[item.id] for item in named if item.once and item.id in outcomes}
    others = [item for item in named if item.id not in outcomes]
    outcomes |= await _accepted_before(database, tenant, others, told=told)
    return [outcomes[item.id] for item in named]


def _firsts(items: Sequence[Named]) -> list[Named]:
    """Without those whose key has come before."""
    keys = {item.once.key: item for item in reversed(items) if item.once is not None}
    return [item for item in items if item.once is None or keys[item.once.key] is item]


async def _stored(
    database: Database, tenant: Tenant, items: Sequence[Named], *, clock: Clock
) -> dict[UUID, Outcome]:
    """What became of those that are new, and of all of them where Postgres was lost with the statement."""
    if not items:
        return {}
    sent = False
    try:
        async with database.hot_statement() as driver:
            sent = True
            times = await store.accept(driver, tenant, items, now=clock())
    except Exception as error:
        if not (sent and is_outage(error)):
            raise
        return {item.id: lost(item.id, repeatable=item.once is not None) for item in items}
    return {item.id: _new(tenant, item, times) for item in items if item.id in times}


def _new(tenant: Tenant, item: Named, times: _Times) -> Acceptance:
    created_at, expires_at = times[item.id]
    job = stored(item.id, tenant, item.request, created_at=created_at, expires_at=expires_at)
    return Acceptance(job, delivery=None, is_new=True)


async def _used(database: Database, tenant: Tenant, items: Sequence[Named]) -> dict[str, UsedKey]:
    keys = [item.once.key for item in items if item.once is not None]
    if not keys:
        return {}
    async with database.of_tenant(tenant.id) as connection:
        return await reads.used_keys(connection, tenant, keys)


async def _accepted_before(
    database: Database, tenant: Tenant, items: Sequence[Named], *, told: Mapping[str, Outcome]
) -> dict[UUID, Outcome]:
    """What their keys made, here or before; for a key that made nothing what its first request was `told`.

    Others were stored meanwhile, and their callers have to know: so this never raises for an outage.
    """
    if not items:
        return {}
    try:
        used = await _used(database, tenant, items)
        found = await reading.several(database, tenant, [key.job_id for key in used.values()])
    except Exception as error:
        if not is_outage(error):
            raise
        return {item.id: _away() for item in items}
    return {item.id: _before(item.once, used, found, told) for item in items if item.once is not None}


def _before(
    once: Once,
    used: Mapping[str, UsedKey],
    found: Mapping[UUID, tuple[Job, Progress | None]],
    told: Mapping[str, Outcome],
) -> Outcome:
    key = used.get(once.key)
    if key is None:
        return told.get(once.key) or _away()
    try:
        check_same(key, once)
    except ServiceError as refusal:
        return refusal
    if key.job_id not in found:
        return NotFoundError(f"The job {key.job_id} was deleted.")
    return Acceptance(*found[key.job_id], is_new=False)


def _away() -> ServiceError:
    return UnavailableError(
        "The database could not be asked. Ask again: that makes no second job.", retry_after=1
    )
