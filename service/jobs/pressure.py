"""How hard the upstream may be pressed with one token: additive increase, multiplicative decrease.

Pure, but for the clock it is given. A refusal to be asked so often (429) halves the submits that may be on
the wire and doubles the waits between reads, for all jobs of the token; every answer gives a little back.
"""

import time
from collections.abc import Callable

SHORTEST_PAUSE = 1.0
"""Seconds without submits after a 429 that names no time."""
ACCOUNT_PAUSE = 15.0
"""Seconds between two submits while the account is in trouble: each is only a probe."""
MOST_STRETCHED = 16.0
RELAX = 0.02
"""What each answered read takes off the stretch: fifty answers undo one doubling."""


class Pressure:
    """What one process has learnt about one token."""

    def __init__(self, *, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`slots` is the most submits at once when all is well."""
        self._slots = slots
        self._clock = clock
        self._window = float(slots)
        self._paused_until = 0.0
        self.stretch = 1.0
        """Factor on the waits between reads, from 1."""

    @property
    def window(self) -> int:
        """How many submits may be on the wire now; 0 in a pause."""
        return 0 if self._clock() < self._paused_until else int(self._window)

    def submit_answered(self) -> None:
        """A submit was taken: one more may be on the wire after a window full of them."""
        self._window = min(float(self._slots), self._window + 1 / self._window)

    def submit_throttled(self, retry_after: float | None) -> None:
        """Too many: halve, and pause for as long as asked."""
        self._window = max(1.0, self._window / 2)
        self._pause(max(SHORTEST_PAUSE, retry_after or 0.0))

    def submit_unanswered(self) -> None:
        """Nobody knows what became of it, and each of these may cost money: halve."""
        self._window = max(1.0, self._window / 2)

    def account_denied(self) -> None:
        """The account is in trouble: one submit at a time, as a probe, and seldom."""
        self._window = 1.0
        self._pause(ACCOUNT_PAUSE)

    def account_well(self) -> None:
        """The trouble is over: no need to wait for the next probe."""
        self._paused_until = self._clock()

    def read_answered(self) -> None:
        """A read brought an answer."""
        self.stretch = max(1.0, self.stretch - RELAX)

    def read_throttled(self) -> None:
        """Too many reads: all wait twice as long."""
        self.stretch = min(MOST_STRETCHED, self.stretch * 2)

    def _pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, self._clock() + seconds)
