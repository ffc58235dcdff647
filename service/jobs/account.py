"""One of the upstream's accounts as this process experiences it: its token, its pressure, its trouble.

An account in trouble (a token that was changed, no balance) ends no job: they wait, slower, and an operator
is told through the readiness of the API, so what is found here is written down for it.
"""

import asyncio
from typing import assert_never
from uuid import UUID

from service.database import Database, is_outage
from service.jobs.pressure import Pressure
from service.telemetry import log
from service.tenants import tokens
from service.upstream.outcomes import (
    Accepted,
    Cancelled,
    CancelOutcome,
    Denied,
    Failed,
    Finished,
    Garbled,
    InQueue,
    Missing,
    NotCancellable,
    Refused,
    ResultOutcome,
    Running,
    StatusOutcome,
    SubmitOutcome,
    Succeeded,
    Throttled,
    Uncertain,
    Unreachable,
)

RETRY_SECONDS = 5.0


class Account:
    """A token, and what its answers have told."""

    def __init__(self, database: Database, *, token_id: UUID, token: str, slots: int) -> None:
        self.token_id = token_id
        self.token = token
        self.pressure = Pressure(slots=slots)
        self._database = database
        # What another process or an earlier one has written is not known: the first answer settles it.
        self._trouble: str | None = "unknown"
        # The trouble is the balance: only a submit can tell that it is over.
        self._is_balance = False
        self._changed = asyncio.Event()

    def submitted(self, outcome: SubmitOutcome) -> None:
        """Learn from the answer to a submit."""
        match outcome:
            case Accepted() | Refused():
                self.pressure.submit_answered()
                self._is_balance = False
                self._found(None)
            case Throttled(retry_after):
                self.pressure.submit_throttled(retry_after)
            case Denied(message):
                self.pressure.account_denied()
                self._is_balance = outcome.is_of_balance
                self._found(message)
            case Uncertain():
                self.pressure.submit_unanswered()
            case Unreachable():
                pass  # No answer says nothing of the account.
            case _:
                assert_never(outcome)

    def asked(self, outcome: StatusOutcome | ResultOutcome | CancelOutcome) -> None:
        """Learn from the answer to a status, a result or a cancel."""
        match outcome:
            case Throttled():
                self.pressure.read_throttled()
            case Denied(message):
                self._found(message)
            case InQueue() | Running() | Finished() | Succeeded() | Failed() | Cancelled() | NotCancellable():
                self.pressure.read_answered()
                if not self._is_balance:  # reads cost nothing, so they go on without a balance
                    self._found(None)
            case Missing() | Unreachable() | Garbled():
                pass
            case _:
                assert_never(outcome)

    async def run(self) -> None:
        """Write down trouble when it comes and when it is over, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                async with self._database.statement() as connection:
                    await tokens.report(connection, self.token_id, trouble=self._trouble)
            except Exception as error:
                if not is_outage(error):
                    log.exception("account.fault")
                self._changed.set()
                await asyncio.sleep(RETRY_SECONDS)

    def _found(self, trouble: str | None) -> None:
        if trouble == self._trouble:
            return
        if trouble is not None:
            log.error("upstream.account_trouble", token_id=str(self.token_id), message=trouble)
        elif self._trouble != "unknown":
            log.info("upstream.account_well", token_id=str(self.token_id))
            self.pressure.account_well()
        self._trouble = trouble
        self._changed.set()
