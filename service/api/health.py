"""Whether this process lives, and whether it can do its work; both need no key."""

import asyncio
from typing import Any

from litestar import Request, get

from service.api.parts import Parts
from service.database import Database, is_outage, version
from service.errors import UnavailableError
from service.telemetry import log
from service.tenants import tokens

PATIENCE_SECONDS = 2.0


@get("/health/live", sync_to_thread=False)
def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@get("/health/ready")
async def ready(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Jobs can be accepted: without Postgres not at all, else with whatever delay is told here."""
    parts = Parts.of(request)
    found = await _schema_version(parts.database)
    # Versions are numbers of four digits. A newer one is fine: old code runs on the next schema.
    if found is None or found < parts.schema_version:
        raise UnavailableError(
            f"The database's schema is {found or 'missing'}, and {parts.schema_version} is needed:"
            " run edit-jobs migrate.",
            retry_after=1,
        )
    degraded = await _upstream_troubles(parts.database)
    if not await parts.bell.is_reachable(within=PATIENCE_SECONDS):
        degraded.append("Redis cannot be reached: jobs start up to a second later, and no rate limit holds.")
    return {"status": "degraded", "degraded": degraded} if degraded else {"status": "ok"}


async def _upstream_troubles(database: Database) -> list[str]:
    async with database.statement() as connection:
        found = await tokens.troubles(connection)
    own = [one for one in found if one.tenant_id is not None]
    told = [
        f"The upstream turns the account away, and jobs wait: {one.message}"
        for one in found
        if one.tenant_id is None
    ]
    # Who asks needs no key: whose account it is and what was said of it is for the tenant and for operators.
    if own:
        told.append(f"The upstream turns {len(own)} of the tenants' own accounts away: only their jobs wait.")
    return told


async def _schema_version(database: Database) -> str | None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), database.statement() as connection:
            return await version(connection)
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning("database.away", error=str(error)[:200])
        raise UnavailableError("The database cannot be reached.", retry_after=1) from None


HANDLERS = [live, ready]
