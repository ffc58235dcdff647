"""What can come of asking the upstream. Matched to the end with `assert_never` by whoever asks."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.upstream.answers import BAD_TOKEN


@dataclass(frozen=True, slots=True)
class Accepted:
    """The submit was taken, under this id."""

    request_id: str


@dataclass(frozen=True, slots=True)
class InQueue:
    """It waits there; the position is given only sometimes."""

    position: int | None


@dataclass(frozen=True, slots=True)
class Running:
    """It is worked on."""


@dataclass(frozen=True, slots=True)
class Finished:
    """It has ended in some way; only the result says how."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """It ended with this output: URLs under `images`, `videos` or both.

    `seconds` is how long after its submit, by the upstream's own clock, where it says; `cost` is in USD.
    """

    output: dict[str, Any]
    seconds: float | None = None
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It ended with an error, in the upstream's words."""

    message: str
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It was taken out of the queue and will not run."""


@dataclass(frozen=True, slots=True)
class NotCancellable:
    """It will not be taken out any more."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It said no, and will say no again: the request itself is at fault."""

    message: str
    http_status: int
    error_code: int | None


@dataclass(frozen=True, slots=True)
class Denied:
    """The account is at fault (its token or its balance): an operator's matter, not the request's."""

    message: str
    http_status: int | None
    """None if it was not even asked, for want of a token."""
    error_code: int | None

    @property
    def is_of_token(self) -> bool:
        """Whether the token itself is refused, as reads would be too; else money or a right is missing."""
        if self.error_code is None:
            return self.http_status == 401
        return self.error_code == BAD_TOKEN or self.error_code // 1000 == 401


@dataclass(frozen=True, slots=True)
class Missing:
    """It does not know the id: too early, or deleted. Without a code, somebody else may have answered."""

    error_code: int | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """It wants to be asked later: after so many seconds, if it says."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer. After a submit: provably not one byte of it was sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """Nobody knows whether the submit was taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Garbled:
    """An answer that says nothing: HTML, a server's error, an unknown word, a result that is not ready."""

    reason: str


Unheard = Denied | Missing | Throttled | Unreachable | Garbled
"""What a read can end in without having learnt anything about the job."""

SubmitOutcome = Accepted | Refused | Denied | Throttled | Unreachable | Uncertain
StatusOutcome = InQueue | Running | Finished | Unheard
ResultOutcome = Succeeded | Failed | Cancelled | InQueue | Running | Unheard
CancelOutcome = Cancelled | NotCancellable | Unheard
