"""How hard the upstream may be pressed with one token: additive increase, multiplicative decrease.

Pure, but for the clock it is given. A refusal to be asked so often (429) halves the submits that may be on
the wire, or the rate of all reads; every answer gives a little back. Refusals that come together were caused
together, so they count once.
"""

import time
from collections.abc import Callable

TOGETHER = 1.0
"""Seconds within which refusals count once; also the pause after a 429 to a submit that names no time."""
ACCOUNT_PAUSE = 15.0
"""Seconds between two submits while the account is in trouble: each is only a probe."""
LEAST_RATE = 1 / 16
MORE_RATE = 0.02
"""What each answered read gives back: half the rate after 25 of them."""


class Pressure:
    """What one process has learnt about one token."""

    def __init__(self, *, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`slots` is the most submits at once when all is well."""
        self._slots = slots
        self._clock = clock
        self._window = float(slots)
        self._halved_at = self._slowed_at = float("-inf")
        self._paused_until = float("-inf")
        self._rate = 1.0

    @property
    def window(self) -> int:
        """How many submits may be on the wire now; 0 in a pause."""
        return 0 if self._clock() < self._paused_until else int(self._window)

    @property
    def stretch(self) -> float:
        """Factor on the waits between reads, from 1."""
        return 1 / self._rate

    def submit_answered(self) -> None:
        """A submit was taken: one more may be on the wire after a window full of them."""
        self._window = min(float(self._slots), self._window + 1 / self._window)

    def submit_throttled(self, retry_after: float | None) -> None:
        """Too many: halve, and pause for as long as asked."""
        self._halve()
        self._pause(max(TOGETHER, retry_after or 0.0))

    def submit_unanswered(self) -> None:
        """Nobody knows what became of it, and each of these may cost money: halve."""
        self._halve()

    def account_denied(self) -> None:
        """The account is in trouble: one submit at a time, as a probe, and seldom."""
        self._window = 1.0
        self._pause(ACCOUNT_PAUSE)

    def account_well(self) -> None:
        """The trouble is over: no need to wait for the next probe."""
        self._paused_until = self._clock()

    def read_answered(self) -> None:
        """A read brought an answer."""
        self._rate = min(1.0, self._rate + MORE_RATE)

    def read_throttled(self) -> None:
        """Too many reads: all wait twice as long."""
        now = self._clock()
        if now - self._slowed_at >= TOGETHER:
            self._slowed_at = now
            self._rate = max(LEAST_RATE, self._rate / 2)

    def _halve(self) -> None:
        now = self._clock()
        if now - self._halved_at >= TOGETHER:
            self._halved_at = now
            self._window = max(1.0, self._window / 2)

    def _pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, self._clock() + seconds)
