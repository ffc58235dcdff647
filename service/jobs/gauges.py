"""What is, as Postgres has it, for those who scrape: the same whichever process they ask."""

import asyncio

from prometheus_client.metrics_core import Metric

from service.database import Database, is_outage
from service.jobs.lifecycle import Status
from service.jobs.store.census import census
from service.telemetry import metrics
from service.tenants import tokens
from service.webhooks.store import census as deliveries_census

PATIENCE_SECONDS = 2.0
"""Less than any scrape waits: what this process counted is told also while Postgres is away."""


async def gauges(database: Database) -> list[Metric]:
    """Jobs and deliveries that have not ended, and who is in trouble; only that Postgres is away if it is."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), database.statement() as connection:
            found = await census(connection)
            troubles = await tokens.troubles(connection)
            deliveries = await deliveries_census.census(connection)
    except Exception as error:
        if not is_outage(error):
            raise
        return metrics.unstored()
    stored = metrics.stored(
        jobs={(one.status, one.model): one.jobs for one in found},
        oldest_accepted=max((one.oldest for one in found if one.status is Status.ACCEPTED), default=0.0),
        accounts_in_trouble=len(troubles),
    )
    return stored + metrics.of_deliveries(
        pending=deliveries.pending, held=deliveries.held, lanes_open=deliveries.lanes_open
    )
