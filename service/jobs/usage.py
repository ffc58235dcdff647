"""What a tenant used: its jobs by outcome, what they cost, and which charges are uncertain.

A job counts on the day in UTC on which it ended, in the mode of the key that asks; one that was deleted or
pruned still counts.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

from service.database import Database
from service.jobs.lifecycle import ENDS, Status
from service.jobs.store import usage as store
from service.jobs.store.usage import By, Used
from service.tenants.tenant import Tenant

OUTCOMES = tuple(status for status in Status if status in ENDS)


async def usage(database: Database, tenant: Tenant, *, since: date, until: date, by: By) -> dict[str, Any]:
    """As it is answered: for each day or model on which, or of which, jobs have ended, and in all."""
    async with database.of_tenant_at_length(tenant.id) as connection:
        used = await store.used(connection, tenant, since=since, until=until, by=by)
    keys = dict.fromkeys(one.key for one in used)
    return {
        "from": since.isoformat(),
        "to": until.isoformat(),
        "by": by,
        "data": [{by: str(key)} | _sums(one for one in used if one.key == key) for key in keys],
        "total": _sums(used),
    }


def _sums(used: Iterable[Used]) -> dict[str, Any]:
    found = list(used)
    jobs = {str(status): sum(one.jobs for one in found if one.status is status) for status in OUTCOMES}
    return {
        "jobs": jobs,
        "cost_usd": float(sum(one.cost_usd for one in found)),
        "uncertain_charges": sum(one.uncertain for one in found),
    }
