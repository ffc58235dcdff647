"""One of the upstream's accounts as this process experiences it: asked here, and learnt from here.

An account in trouble (a token that was changed, no balance) ends no job: its jobs wait, slower, and those of
other accounts know nothing of it. An operator is told through the readiness of the API.
"""

from collections.abc import Callable
from typing import Any, TypeVar, assert_never
from uuid import UUID

from service.jobs.pressure import Pressure
from service.telemetry import log
from service.tenants.models import PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID
from service.upstream.calls import Calls
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

Heard = TypeVar("Heard", bound=StatusOutcome | ResultOutcome | CancelOutcome)
Unasked = Denied | Unreachable
"""What a call ends in that is not even made, for want of a token."""
MOST_ASKS = 100
"""Jobs whose cost is asked for later while the account tells none."""


class Account:
    """A token, what may be asked with it, and what the answers have told."""

    def __init__(
        self, upstream: Calls, *, token_id: UUID, slots: int, on_trouble: Callable[["Account"], None]
    ) -> None:
        """Without a token yet. `on_trouble` hears when there is trouble, another one, or none any more."""
        self.token_id = token_id
        self.pressure = Pressure(slots=slots)
        self.places = 0
        """How many jobs all workers together may have in flight with it."""
        # What another process or an earlier one has written is not known: the first answer settles it.
        self.trouble: str | None = "unknown"
        self._upstream = upstream
        self._token = ""
        self._unasked: Unasked | None = Unreachable("the token of this account was not read yet")
        self._on_trouble = on_trouble
        # For want of balance or of a right; reads may go on, so only a submit can tell that it is over.
        self._submits_denied = False
        self._asks_left = MOST_ASKS

    @property
    def is_shared(self) -> bool:
        """Whether several tenants' jobs run on it."""
        return self.token_id in (PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID)

    @property
    def window(self) -> int:
        """How many submits of this process may be on the wire with it now."""
        return 0 if self._unasked else self.pressure.window

    def use(self, token: str) -> None:
        """Ask with this token from now on; what the one before was told counts no more."""
        self._token, self._unasked, self._submits_denied = token, None, False
        self.pressure.account_well()

    def shut(self, reason: str) -> None:
        """There is no token to ask with: jobs wait until there is one."""
        self._unasked = Denied(reason, None, None)
        self._found(reason)

    def may_tell_cost(self) -> bool:
        """Whether to ask again later what a job cost that has ended without telling.

        Each time it is said counts, and a cost that is told counts for many: an account that never tells any
        is not asked for ever.
        """
        if self._asks_left == 0:
            return False
        self._asks_left -= 1
        return True

    async def submit(self, model: str, inputs: dict[str, Any], *, not_after: float) -> SubmitOutcome:
        """Ask for work, once, and learn from the answer; see `Calls`."""
        if self._unasked:
            return self._unasked
        token = self._token
        outcome = await self._upstream.submit(model, inputs, token=token, not_after=not_after)
        if token == self._token:
            self._learn_from_submit(outcome)
        return outcome

    async def status(self, request_id: str) -> StatusOutcome:
        """Where the work is."""
        if self._unasked:
            return self._unasked
        token = self._token
        return self._learnt(token, await self._upstream.status(request_id, token=token))

    async def result(self, request_id: str) -> ResultOutcome:
        """How the work ended."""
        if self._unasked:
            return self._unasked
        token = self._token
        return self._learnt(token, await self._upstream.result(request_id, token=token))

    async def cancel(self, request_id: str) -> CancelOutcome:
        """Take the work out of the queue, if it is still there."""
        if self._unasked:
            return self._unasked
        token = self._token
        return self._learnt(token, await self._upstream.cancel(request_id, token=token))

    def _learn_from_submit(self, outcome: SubmitOutcome) -> None:
        match outcome:
            case Accepted() | Refused():
                self.pressure.submit_answered()
                self._submits_denied = False
                self._found(None)
            case Throttled(retry_after):
                self.pressure.submit_throttled(retry_after)
            case Denied(message):
                self.pressure.account_denied()
                self._submits_denied = not outcome.is_of_token
                self._found(message)
            case Uncertain():
                self.pressure.submit_unanswered()
            case Unreachable():
                pass  # No answer says nothing of the account.
            case _:
                assert_never(outcome)

    def _learnt(self, token: str, outcome: Heard) -> Heard:
        """What a token that is not used any more was told says nothing of the account."""
        if token == self._token:
            self._learn_from_read(outcome)
        return outcome

    def _learn_from_read(self, outcome: StatusOutcome | ResultOutcome | CancelOutcome) -> None:
        match outcome:
            case Throttled():
                self.pressure.read_throttled()
            case Denied(message):
                self._found(message)
            case InQueue() | Running() | Finished() | Succeeded() | Failed() | Cancelled() | NotCancellable():
                if isinstance(outcome, Succeeded | Failed) and outcome.cost is not None:
                    self._asks_left = MOST_ASKS
                self.pressure.read_answered()
                if not self._submits_denied:
                    self._found(None)
            case Missing() | Unreachable() | Garbled():
                pass
            case _:
                assert_never(outcome)

    def _found(self, trouble: str | None) -> None:
        if trouble == self.trouble:
            return
        if trouble is not None:
            log.error("upstream.account_trouble", token_id=str(self.token_id), message=trouble)
        elif self.trouble != "unknown":
            log.info("upstream.account_well", token_id=str(self.token_id))
            self.pressure.account_well()
        self.trouble = trouble
        self._on_trouble(self)
