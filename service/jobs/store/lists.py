"""Pages of a tenant's jobs, newest first. What a page costs depends on its length, not on what is stored.

Each filter has an index that ends in the id, along which a page is read from its beginning until it is full.
Where several are combined, one index is read and the others are checked on what it finds.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select, text, true, union_all

from service.database import Connection
from service.ids import CLOCKS_APART, first_of
from service.jobs.filter import Filter
from service.jobs.job import Job
from service.jobs.store.table import JOBS, LABELS
from service.tenants.tenant import Tenant

# A plan made for any value may go through all jobs, newest first, to find those of a model or a tenant that
# most are of: which is right until somebody asks for one that hardly any are of.
_PLAN_FOR_THESE_VALUES = text("SET LOCAL plan_cache_mode = force_custom_plan")


async def page(
    connection: Connection, tenant: Tenant, wanted: Filter, *, before: UUID | None, limit: int
) -> list[Job]:
    """The first `limit` jobs that are wanted, of those older than `before`; within a transaction."""
    await connection.execute(_PLAN_FOR_THESE_VALUES)
    rows = await connection.execute(query(tenant, wanted, before=before, limit=limit))
    return [Job.of(row) for row in rows]


def query(tenant: Tenant, wanted: Filter, *, before: UUID | None, limit: int) -> Select[Any]:
    """The statement itself, whose plans are pinned by tests."""
    if wanted.metadata:
        return _labelled(tenant, wanted, before).limit(limit)
    if len(wanted.statuses) < 2:
        return _plain(tenant, wanted, before).limit(limit)
    # An index that begins with the status is in the order of ids only within each of them.
    each = [
        _plain(tenant, replace(wanted, statuses=frozenset({status})), before).limit(limit).subquery()
        for status in sorted(wanted.statuses)
    ]
    together = union_all(*(select(jobs) for jobs in each)).subquery()
    return select(together).order_by(together.c.id.desc()).limit(limit)


def _plain(tenant: Tenant, wanted: Filter, before: UUID | None) -> Select[Any]:
    return _matching(tenant, wanted).where(*_between(JOBS.c.id, wanted, before)).order_by(JOBS.c.id.desc())


def _labelled(tenant: Tenant, wanted: Filter, before: UUID | None) -> Select[Any]:
    """Along the index of labels, and for each that is found its job.

    The planner cannot know how often a value comes with just this key, and if it thought that it was often
    it would look for it through all jobs: the OFFSET keeps it from that.
    """
    (key, value), *others = wanted.metadata.items()
    job = _matching(tenant, wanted).where(JOBS.c.id == LABELS.c.job_id)
    for other in others:
        job = job.where(_has_label(*other))
    found = job.offset(0).lateral()
    return (
        tenant.rows(LABELS, *found.c)
        .select_from(LABELS.join(found, true()))
        .where(LABELS.c.key == key, LABELS.c.value == value, *_between(LABELS.c.job_id, wanted, before))
        .order_by(LABELS.c.job_id.desc())
    )


def _has_label(key: str, value: str) -> ColumnElement[bool]:
    label = LABELS.alias()
    return exists().where(label.c.job_id == JOBS.c.id, label.c.key == key, label.c.value == value)


def _matching(tenant: Tenant, wanted: Filter) -> Select[Any]:
    """The jobs that are wanted, but for their labels."""
    found = tenant.rows(JOBS).where(JOBS.c.deleted_at.is_(None))
    match sorted(wanted.statuses):
        case []:
            pass
        case [status]:
            found = found.where(JOBS.c.status == status)
        case statuses:
            found = found.where(JOBS.c.status.in_(statuses))
    if wanted.model is not None:
        found = found.where(JOBS.c.model == wanted.model)
    if wanted.external_id is not None:
        found = found.where(JOBS.c.external_id == wanted.external_id)
    if wanted.since is not None:
        found = found.where(JOBS.c.created_at >= wanted.since)
    if wanted.until is not None:
        found = found.where(JOBS.c.created_at < wanted.until)
    return found


def _between(job_id: Any, wanted: Filter, before: UUID | None) -> list[ColumnElement[bool]]:
    """The part of an index to read: what is older than `before`, and what the times allow."""
    bounds: list[ColumnElement[bool]] = []
    if before is not None:
        bounds.append(job_id < before)
    if wanted.since is not None:
        bounds.append(job_id >= first_of(wanted.since, margin=-CLOCKS_APART))
    if wanted.until is not None:
        bounds.append(job_id < first_of(wanted.until, margin=CLOCKS_APART))
    return bounds
