"""What can be asked of an upstream, whoever answers: the model API, or the scripted one of test mode."""

from typing import Any, Protocol

from service.upstream.outcomes import CancelOutcome, ResultOutcome, StatusOutcome, SubmitOutcome


class Calls(Protocol):
    """Four calls, each ending in an outcome; none raises."""

    async def submit(
        self, model: str, inputs: dict[str, Any], *, token: str, not_after: float
    ) -> SubmitOutcome:
        """Ask for work, once. Nothing is sent after `not_after`, a time of `time.monotonic()`."""

    async def status(self, request_id: str, *, token: str) -> StatusOutcome:
        """Where the work is."""

    async def result(self, request_id: str, *, token: str) -> ResultOutcome:
        """How the work ended."""

    async def cancel(self, request_id: str, *, token: str) -> CancelOutcome:
        """Take the work out of the queue, if it is still there."""
