"""What stands before accepted jobs: counted along partial indexes, and only as far as it matters."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from service.database import Connection
from service.database.base import NOW
from service.jobs.job import Job
from service.jobs.store.table import HOLDS_A_PLACE, IS_READY, LEASE_RAN_OUT
from service.tenants.models import PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID
from service.tenants.tenant import Tenant
from service.upstream.scripted import PLACES as SCRIPTED_PLACES

MOST_AHEAD = 1_000

# Of other tenants' jobs the API may know how many hold a place, by a function that counts the same.
_STANDING = text(
    f"""
    SELECT {NOW} AS now, clock_timestamp() AS clock,
           EXISTS (SELECT FROM account_troubles() AS trouble WHERE trouble.id = account.id)
               AS is_account_in_trouble,
           places_held(account.id, account.places) >= account.places AS is_upstream_full,
           (SELECT count(*) FROM (SELECT FROM jobs
                                  WHERE token_id = account.id AND {HOLDS_A_PLACE} AND tenant_id = tenant.id
                                  LIMIT tenant.max_in_flight) AS held)
               >= tenant.max_in_flight AS is_tenant_full
    FROM tenants AS tenant CROSS JOIN LATERAL (
        SELECT coalesce(own.id, CAST(:shared AS uuid)) AS id,
               coalesce(own.max_in_flight, CAST(:places AS integer)) AS places
        FROM (SELECT) AS one LEFT JOIN upstream_tokens AS own ON own.tenant_id = tenant.id AND :may_be_own
    ) AS account
    WHERE tenant.id = :tenant
    """
)
_WAITS = f"SELECT FROM jobs WHERE {IS_READY} AND mode = :mode AND tenant_id = :tenant AND {LEASE_RAN_OUT}"
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


async def standing(connection: Connection, tenant: Tenant, *, places: int, now: datetime | None) -> Standing:
    """How it stands with the account of the tenant's jobs, and with the tenant's share of it.

    `places` is how many the platform's account has.
    """
    is_live = tenant.mode == "live"
    given = {
        "tenant": tenant.id,
        "shared": PLATFORM_TOKEN_ID if is_live else SCRIPTED_TOKEN_ID,
        "may_be_own": is_live,
        "places": places if is_live else SCRIPTED_PLACES,
        "now": now,
    }
    row = (await connection.execute(_STANDING, given)).one()
    return Standing(**row._mapping)


async def ahead(connection: Connection, tenant: Tenant, job: Job) -> int:
    """How many of the tenant's waiting jobs are claimed before this one, counted to `MOST_AHEAD`."""
    given = {"tenant": tenant.id, "mode": tenant.mode, "priority": job.priority, "id": job.id}
    return int((await connection.execute(_AHEAD, given)).scalar_one())
