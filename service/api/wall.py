"""Whether row-level security holds for the role that this process connects as."""

import asyncio

from service.database import Database, is_outage
from service.database.api_role import is_walled
from service.telemetry import log

_RETRY_SECONDS = 5.0


async def look(database: Database) -> None:
    """Warn if it does not. Postgres may be away when the API starts, so it is asked until it answers.

    Only a warning: all works without, as it does with one URL for everything.
    """
    while True:
        try:
            async with database.statement() as connection:
                walled = await is_walled(connection)
        except Exception as error:
            if not is_outage(error) and not _is_not_migrated(error):
                log.exception("api.fault")
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        if not walled:
            log.warning("api.unwalled", todo="set EDIT_JOBS_API_DATABASE_URL, then run edit-jobs migrate")
        return


def _is_not_migrated(error: Exception) -> bool:
    return getattr(getattr(error, "orig", None), "sqlstate", None) == "42P01"
