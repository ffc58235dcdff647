"""What callers can look at: one job, a page of them, a job's timeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from service.database import Connection, Database
from service.errors import NotFoundError
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store import reads
from service.jobs.store.reads import Entry
from service.jobs.view import Delivery
from service.tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, what became of their webhooks, and whether there are older ones."""

    jobs: list[Job]
    deliveries: Mapping[UUID, Delivery]
    has_more: bool
