"""What follows from an attempt: delivered, another one after a while, or no more. Pure.

The waits come from the settings. A receiver that says that it is overloaded, or that does not answer in
time, is given a minute at least, and as long as it asks for up to an hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from service.backoff import Random, jittered

JITTER = 0.2
LONGEST_AGE = 4 * 86400.0
"""Seconds after its event, or after it was asked for again, at which a delivery is given up."""
LEAST_RELIEF = 60.0
_OVERLOADED = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answered:
    """The receiver answered; `retry_after` is in seconds, if it asked for that."""

    status: int
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No answer within the deadline."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer: DNS, TLS, a reset or a garbled reply."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """It could not be sent through a fault of ours, for which nobody else is to blame."""


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The URL leads to an address that must not be called."""


Outcome = Answered | TimedOut | Unreachable | Forbidden | Unsent

Reason = Literal["gone", "forbidden_address", "attempts", "age"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after so many seconds."""

    after: float


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No more attempts."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Held:
    """It waits for its endpoint, which is gone and therefore to be disabled."""


Verdict = Delivered | Retry | Exhausted | Held


def verdict(
    outcome: Outcome, *, registered: bool, attempts: int, left: float, waits: Sequence[float], rand: Random
) -> Verdict:
    """What becomes of a delivery after so many attempts, this one included.

    `registered`: it goes to an endpoint, and not to a `callback_url`. `left`: seconds until it is given up.
    `waits`: seconds before each attempt, the first one's too.
    """
    match outcome:
        case Answered(status) if 200 <= status < 300:
            return Delivered()
        case Answered(410):
            return Held() if registered else Exhausted("gone")
        case Forbidden() if not registered:
            return Exhausted("forbidden_address")
        case Answered(status, retry_after):
            relief = max(LEAST_RELIEF, retry_after or 0.0) if status in _OVERLOADED else 0.0
        case TimedOut():
            relief = LEAST_RELIEF
        case Unreachable() | Forbidden() | Unsent():
            relief = 0.0
        case _:
            assert_never(outcome)
    if attempts >= len(waits):
        return Exhausted("attempts")
    after = jittered(max(waits[attempts], relief), share=JITTER, rand=rand)
    return Retry(after) if after <= left else Exhausted("age")
