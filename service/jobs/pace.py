"""When to read a job's status next, as pure arithmetic: what its reads have shown in, seconds to wait out.

One read is worth `cost` seconds of delay, so the next one is made when just so long a delay is to be
expected by the run times of the ends just seen. Where the hazard rate h is even that is each √(2 cost / h)
seconds, the cheapest schedule there is; at the end of all usual run times it is read once more, and soon.
"""

import math
from dataclasses import dataclass

from service.jobs.run_times import RunTimes

GROWTH = 1.3
"""Without history each wait is so many times the one before; the same after a read that taught nothing."""

FIRST_WAIT, USUAL_COST = 2.0, 0.058


@dataclass(slots=True)
class Course:
    """What the reads of one job have shown so far. Times are any one clock's seconds."""

    since: float
    """When it was last known not to run: its submit, or the last read that found it in the queue."""
    unfinished: float
    """When it was last known not to have ended."""
    wait: float = 0.0
    position: int | None = None
    """Its place in the queue as last read, with the first one read and when that was."""
    first_position: int | None = None
    queued_at: float | None = None

    def seen_queued(self, at: float, position: int | None) -> None:
        """A read that left at this time found it in the queue."""
        if self.queued_at is None or (self.first_position is None and position is not None):
            self.queued_at, self.first_position = at, position
        self.position = position
        self.since = self.unfinished = at

    def seen_running(self, at: float) -> None:
        """A read that left at this time found it running."""
        self.unfinished = at

    def ended(self, by: float, *, at: float | None) -> tuple[float, float]:
        """Between which two times since `since` it ended: seen at `by`; `at` is when, if the upstream says.

        The upstream's clock is believed only as far as the reads allow.
        """
        if at is not None:
            exactly = min(max(at, self.unfinished), by) - self.since
            return exactly, exactly
        return self.unfinished - self.since, by - self.since

    def to_its_turn(self, now: float) -> float:
        """Seconds until it leaves the queue, if that moves on as it did; 0 if nobody knows."""
        if self.queued_at is None or self.position is None or self.first_position is None:
            return 0.0
        moved = self.first_position - self.position
        return (self.position + 0.5) * (now - self.queued_at) / moved if moved > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """The schedule of reads. No wait is shorter or longer than these seconds."""

    cost: float
    shortest: float = 0.25
    longest: float = 15.0

    @property
    def first(self) -> float:
        """The first wait without history: 2 s at the usual cost of 0.058."""
        return FIRST_WAIT * math.sqrt(self.cost / USUAL_COST)

    def wait(self, course: Course, times: RunTimes | None, now: float, *, learnt: bool = True) -> float:
        """The seconds from now to the next read; `learnt` unless the last one taught nothing."""
        wait = self._planned(course, times, now)
        if course.queued_at is not None and course.unfinished == course.since:
            wait = max(wait, self._in_queue(course, course.queued_at, now))
        if not learnt:
            wait = max(wait, course.wait * GROWTH)
        course.wait = min(max(wait, self.shortest), self.longest)
        return course.wait

    def _planned(self, course: Course, times: RunTimes | None, now: float) -> float:
        if times is None:
            return max(course.wait * GROWTH, self.first)
        elapsed = now - course.since
        return times.schedule.next(elapsed, delay=self.cost) - elapsed

    def _in_queue(self, course: Course, queued_at: float, now: float) -> float:
        """Until it runs it cannot end: half of the time to its turn, so that a faster queue is noticed.

        One that does not tell is taken to last as long again as it has lasted.
        """
        return max(course.to_its_turn(now) / 2, math.sqrt(2 * self.cost * (now - queued_at)))
