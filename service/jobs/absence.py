"""When to believe the upstream that it does not know a job any more. Pure; times are any clock's seconds.

A 404 soon after the submit may be a blip, and later means that the job was deleted or has expired there.
"""

from dataclasses import dataclass

TIMES = 3
FOR_SECONDS = 30.0
AFTER_SECONDS = 60.0


@dataclass(slots=True)
class Absence:
    """How often in a row one job was not known, and since when."""

    taken: float
    """When the upstream took it; nothing is believed before `AFTER_SECONDS` more."""
    times: int = 0
    since: float = 0.0

    def seen(self) -> None:
        """It is known after all."""
        self.times = 0

    def is_believed(self, now: float) -> bool:
        """Count one more 404; whether they are `TIMES` in a row over `FOR_SECONDS` by now."""
        if now - self.taken < AFTER_SECONDS:
            return False
        if self.times == 0:
            self.since = now
        self.times += 1
        return self.times >= TIMES and now - self.since >= FOR_SECONDS
