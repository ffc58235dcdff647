"""When to read a job's status next, as pure arithmetic: the last wait in, the next one out, in seconds."""

from dataclasses import dataclass

GROWTH = 1.3


@dataclass(frozen=True, slots=True)
class Pace:
    """The first read comes after `first` seconds, each next one `GROWTH` times later, up to `longest`."""

    first: float
    longest: float = 15.0

    def next(self, last: float) -> float:
        """The wait after one of `last` seconds; 0 before the first read."""
        return min(self.longest, max(last * GROWTH, self.first))
