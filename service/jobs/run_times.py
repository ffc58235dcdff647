"""How long jobs of one model take, as a histogram that forgets: pure, in seconds.

What is counted is the time from when a job was last known not to run, its submit or a read that found it
queued, to its end upstream. Just that is what a job's next read is planned with, so whatever the queue adds
is learnt with it. An end that is only known to lie between two reads is shared out over the buckets between
them, as likely as the histogram finds each of them.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise

PER_DOUBLING = 6
FIRST, LAST = -3 * PER_DOUBLING, 17 * PER_DOUBLING - 1
"""Buckets from an eighth of a second to a day and a half; what is beyond is counted in the outermost."""
MEMORY = 500.0
"""How many of the ends just seen count: after as many more, one counts for a third (1/e)."""
DOUBT = 1.0
"""Ends that were never seen, as likely in one bucket as in another: they keep a run that is longer than all
before it from never being read again, and fade as real ones come."""

Share = tuple[int, float]
_BUCKETS = range(FIRST, LAST + 1)
_EDGES = [0.0, *(2 ** (number / PER_DOUBLING) for number in range(FIRST + 1, LAST + 2))]
_DOUBT = DOUBT / len(_BUCKETS)


class RunTimes:
    """The weight of each bucket, and the schedule that follows from it."""

    __slots__ = ("_unplanned", "_weights", "schedule", "total")

    def __init__(self, weights: Mapping[int, float] | None = None) -> None:
        self._weights = [0.0] * len(_BUCKETS)
        for bucket, weight in (weights or {}).items():
            if bucket in _BUCKETS:
                self._weights[bucket - FIRST] = weight
        self.total = sum(self._weights)
        self._unplanned = 0.0
        self.schedule = Schedule(self._weights)

    @property
    def weights(self) -> dict[int, float]:
        """What is counted in each bucket, where there is anything."""
        return {FIRST + index: weight for index, weight in enumerate(self._weights) if weight}

    def shares(self, after: float, by: float) -> list[Share]:
        """The buckets of an end between two times, with how much of it is counted in each."""
        first, last = _index(after), _index(by)
        if first == last:
            return [(first + FIRST, 1.0)]
        likely = []
        for index in range(first, last + 1):
            begin, end = _EDGES[index], _EDGES[index + 1]
            inside = max(0.0, min(end, by) - max(begin, after)) / (end - begin)
            likely.append((self._weights[index] + _DOUBT) * inside)
        whole = sum(likely) or 1.0
        return [(first + FIRST + index, part / whole) for index, part in enumerate(likely) if part]

    def add(self, shares: Iterable[Share]) -> None:
        """Count an end; the schedule follows as soon as a tenth of the weight is new."""
        for bucket, share in shares:
            self._weights[bucket - FIRST] += share
            self._unplanned += share
            self.total += share
        if self._unplanned > self.total / 10:
            self._unplanned = 0.0
            self.schedule = Schedule(self._weights)


class Schedule:
    """What follows from weights. In each bucket ends are evenly likely."""

    __slots__ = ("_areas", "_left")

    def __init__(self, weights: list[float]) -> None:
        whole = sum(weights) + DOUBT
        # At each edge: the share of jobs that have not ended by then, and the integral of it.
        self._left, self._areas = [1.0], [0.0]
        left = whole
        for weight, (begin, end) in zip(weights, pairwise(_EDGES), strict=True):
            left -= weight + _DOUBT
            self._left.append(max(left / whole, 1e-12))
            self._areas.append(self._areas[-1] + (self._left[-2] + self._left[-1]) / 2 * (end - begin))

    def next(self, elapsed: float, *, delay: float) -> float:
        """When to read a job that has not ended by now, so that it is expected to have waited for the read
        for `delay` seconds since its end: ∫ P(it has ended by then) from `elapsed` to the read.
        """
        index = _index(elapsed)
        begin = max(elapsed, _EDGES[index])
        slope = (self._left[index] - self._left[index + 1]) / (_EDGES[index + 1] - _EDGES[index])
        here = self._left[index] - slope * (begin - _EDGES[index])
        area = self._areas[index] + (self._left[index] + here) / 2 * (begin - _EDGES[index])

        def waited(edge: int) -> float:
            return _EDGES[edge] - begin - (self._areas[edge] - area) / here

        after = bisect_left(range(len(_EDGES)), delay, lo=index + 1, key=waited)
        if after == len(_EDGES):
            return math.inf
        if after > index + 1:
            begin, left, delay = _EDGES[after - 1], self._left[after - 1], delay - waited(after - 1)
        else:
            left = here
        # In this bucket the chance to have ended grows evenly, so the wait with its square.
        ended = 1 - left / here
        growth = (left - self._left[after]) / (_EDGES[after] - begin) / here
        return begin + 2 * delay / (ended + math.sqrt(ended * ended + 2 * growth * delay))


def _index(seconds: float) -> int:
    return min(max(bisect_right(_EDGES, seconds) - 1, 0), len(_BUCKETS) - 1)
