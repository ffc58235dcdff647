"""What stands before accepted jobs: counted along partial indexes, and only as far as it matters."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from service.database import Connection
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store.table import HAS_ENDED, NOW
from service.tenants.tenant import Tenant

MOST_AHEAD = 1_000

# What holds a place is what the claim counts: all that is under way, and what was claimed and not sent yet.
# Of other tenants' jobs the API may know how many do, by a function that counts the same.
_HOLDS_A_PLACE = f"""
    token_id = :token AND NOT ({HAS_ENDED})
    AND (status <> '{Status.ACCEPTED}' OR lease_until > clock_timestamp())
"""
_STANDING = text(
    f"""
    SELECT {NOW} AS now, clock_timestamp() AS clock,
           EXISTS (SELECT FROM account_troubles() WHERE id = :token) AS is_account_in_trouble,
           places_held(:token, CAST(:places AS integer)) >= :places AS is_upstream_full,
           (SELECT count(*) FROM (SELECT FROM jobs WHERE {_HOLDS_A_PLACE} AND tenant_id = tenant.id
                                  LIMIT tenant.max_in_flight) AS held)
               >= tenant.max_in_flight AS is_tenant_full
    FROM tenants AS tenant WHERE tenant.id = :tenant
    """
)
_WAITS = f"""
    SELECT FROM jobs WHERE tenant_id = :tenant AND mode = :mode AND status = '{Status.ACCEPTED}'
    AND (lease_until IS NULL OR lease_until < clock_timestamp())
"""
# Two ranges of the index that the claim goes along, from their beginnings.
_AHEAD = text(
    f"""
    SELECT count(*) FROM (
        ({_WAITS} AND priority > :priority LIMIT {MOST_AHEAD})
        UNION ALL
        ({_WAITS} AND priority = :priority AND id < :id LIMIT {MOST_AHEAD})
        LIMIT {MOST_AHEAD}
    ) AS ahead
    """
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a tenant's jobs wait for if they are due. `now` is for due times, `clock` for leases."""

    now: datetime
    clock: datetime
    is_account_in_trouble: bool
    is_upstream_full: bool
    is_tenant_full: bool


async def standing(
    connection: Connection, tenant: Tenant, *, token_id: UUID, places: int, now: datetime | None
) -> Standing:
    """How it stands with the account of that token, which has so many places, and with the tenant's share."""
    given = {"tenant": tenant.id, "token": token_id, "places": places, "now": now}
    row = (await connection.execute(_STANDING, given)).one()
    return Standing(**row._mapping)


async def ahead(connection: Connection, tenant: Tenant, job: Job) -> int:
    """How many of the tenant's waiting jobs are claimed before this one, counted to `MOST_AHEAD`."""
    given = {"tenant": tenant.id, "mode": tenant.mode, "priority": job.priority, "id": job.id}
    return int((await connection.execute(_AHEAD, given)).scalar_one())
