"""What a job cost, asked for again where its end did not tell: the upstream may know it only later.

At most twice, by whichever worker finds it due. It changes nothing of the job but its cost, and is no event.
"""

import asyncio
from decimal import Decimal

from service.database import is_outage
from service.jobs.account import Account
from service.jobs.accounts import Accounts
from service.jobs.job import Job
from service.jobs.ledger import Ledger
from service.jobs.store import costs
from service.telemetry import log
from service.upstream.outcomes import Failed, Succeeded

FIRST_SECONDS = 60.0
"""From the end to the first time; the second comes an hour after the end."""
SWEEP_TICKS = 5
AT_ONCE = 50


def first_wait(job: Job, account: Account, cost: Decimal | None) -> float | None:
    """How many seconds after its end to ask what it cost; None if that is known, or not worth it."""
    if cost is not None or job.mode == "test" or not account.may_tell_cost():
        return None
    return FIRST_SECONDS


class LateCosts:
    """Asks for costs that are due."""

    def __init__(self, ledger: Ledger, accounts: Accounts, *, tick: float) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._wait = SWEEP_TICKS * tick

    async def run(self) -> None:
        """Look again and again, without a pause while there is more."""
        while True:
            more = False
            try:
                more = await self._sweep() == AT_ONCE
            except Exception as error:
                if not is_outage(error):
                    log.exception("late_costs.fault")
            if not more:
                await asyncio.sleep(self._wait)

    async def _sweep(self) -> int:
        async with self._ledger.database.statement() as connection:
            due = await costs.take_due(connection, most=AT_ONCE, now=self._ledger.clock())
        told = [cost for cost in await asyncio.gather(*map(self._ask, due)) if cost is not None]
        async with self._ledger.database.statement() as connection:
            await costs.keep(connection, told)
        return len(due)

    async def _ask(self, due: costs.Due) -> costs.Told | None:
        outcome = await self._accounts.of(due.token_id).result(due.upstream_id)
        if isinstance(outcome, Succeeded | Failed) and outcome.cost is not None:
            return costs.Told(due.job_id, outcome.cost)
        return None
