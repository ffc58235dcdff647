"""What the `sim:` words of a prompt make happen, as pure functions of seconds and of calls counted.

A word nobody knows is prose and changes nothing, as it would not at the upstream.
"""

import math
import re
from dataclasses import dataclass
from enum import StrEnum

WORD = re.compile(r"(?<![\w:])sim:([a-z0-9]+)(?:=(\d+(?:\.\d+)?))?")

# The queue before a request moves at this pace, so that its position falls as time passes.
PLACES_PER_SECOND = 2

# On which reads of a request a fault shows (status and result are counted apart): it comes, goes and
# comes again, and no job whose polls go on is held up by it for long.
ODD_READS = (1, 3)
FIRST_READS = (1, 2)


class Stage(StrEnum):
    """Where a request is; the words are those of the captured traffic."""

    IN_QUEUE = "in_queue"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Verdict(StrEnum):
    """What becomes of a submit."""

    TAKEN = "taken"
    LOST = "lost"
    """Taken, and the connection is closed without an answer."""
    REJECTED = "rejected"
    BUSY = "busy"
    BROKEN = "broken"
    """500, and not taken; from outside nobody can tell."""
    CLOSED = "closed"
    """The connection is closed without an answer, and not taken; from outside nobody can tell."""


class Oddity(StrEnum):
    """What a read answers instead of the truth."""

    HTML = "html"
    ERROR_200 = "error200"
    WORD = "word"
    BLIP = "blip"
    NOT_READY = "notready"


@dataclass(frozen=True, slots=True)
class Script:
    """How one request goes. `run` is infinite for one that never ends."""

    queue: float
    run: float
    cost_after: float
    """Seconds from the end until the cost is known; infinite where it never is."""
    busy: int
    words: frozenset[str]

    @property
    def fails(self) -> bool:
        return "fail" in self.words

    @property
    def counts_repeats(self) -> bool:
        """Whether `verdict` depends on how often the same body came."""
        return bool(self.words & {"busy", "500", "refused"})

    def stage(self, elapsed: float) -> Stage:
        """`elapsed`: seconds since the submit was taken."""
        if elapsed < self.queue:
            return Stage.IN_QUEUE
        return Stage.IN_PROGRESS if elapsed < self.queue + self.run else Stage.COMPLETED

    def queue_position(self, elapsed: float) -> int:
        """How many are still before this one; 0 is the next to run."""
        return max(0, math.ceil((self.queue - elapsed) * PLACES_PER_SECOND) - 1)

    def verdict(self, earlier: int) -> Verdict:
        """`earlier`: how many submits of the very same body came before this one."""
        if earlier < self.busy:
            return Verdict.BUSY
        if earlier == self.busy and "500" in self.words:
            return Verdict.BROKEN
        if earlier == self.busy and "refused" in self.words:
            return Verdict.CLOSED
        if "reject" in self.words:
            return Verdict.REJECTED
        return Verdict.LOST if "lost" in self.words else Verdict.TAKEN

    def status_oddity(self, read: int) -> Oddity | None:
        """`read`: which read of the status this is, from 1."""
        if "blip" in self.words and read in FIRST_READS:
            return Oddity.BLIP
        return self._oddity(read)

    def result_oddity(self, read: int) -> Oddity | None:
        """`read`: which read of the result this is, from 1."""
        if "notready" in self.words and read in FIRST_READS:
            return Oddity.NOT_READY
        return self._oddity(read)

    def _oddity(self, read: int) -> Oddity | None:
        if read in ODD_READS:
            for oddity in (Oddity.HTML, Oddity.ERROR_200, Oddity.WORD):
                if oddity in self.words:
                    return oddity
        return None


def read(prompt: str, *, queue: float = 1.0, run: float = 3.0) -> Script:
    """The script of a prompt; `queue` and `run` are the seconds of one without words."""
    words: dict[str, str | None] = {match[1]: match[2] for match in WORD.finditer(prompt)}
    return Script(
        queue=float(words.get("queue") or queue),
        run=math.inf if "stuck" in words else float(words.get("run") or run),
        cost_after=math.inf if "nocost" in words else float(words.get("latecost") or 0),
        busy=int(float(words["busy"] or 1)) if "busy" in words else 0,
        words=frozenset(words),
    )
