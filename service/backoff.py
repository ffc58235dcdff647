"""How long to wait before the next try, as pure arithmetic: seconds in, seconds out."""

import random
from collections.abc import Callable

Random = Callable[[], float]


def exponential(failures: int, *, first: float, cap: float, rand: Random = random.random) -> float:
    """Wait after the given number of failures in a row (from 1), spread over its upper half.

    Half of the wait is random so that what failed together is not tried again together.
    """
    wait = min(cap, first * 2.0 ** min(failures - 1, 64))
    return wait * (1 + rand()) / 2


def jittered(wait: float, *, share: float, rand: Random = random.random) -> float:
    """The wait with up to `share` of it (0 to 1) added, never less than asked."""
    return wait * (1 + share * rand())
