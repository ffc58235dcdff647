"""The upstream of test mode: asked like the real one, with no HTTP, no cost and no memory.

Words in the prompt say what happens. The id it gives says the rest, so any worker can tell at any time where
the work is: when it was taken, for how long it waits and runs, how it ends, and what pictures come of it.
"""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from service.upstream.outcomes import (
    Accepted,
    Cancelled,
    CancelOutcome,
    Failed,
    Finished,
    InQueue,
    Missing,
    NotCancellable,
    Refused,
    ResultOutcome,
    Running,
    StatusOutcome,
    SubmitOutcome,
    Succeeded,
    Uncertain,
    Unreachable,
)

PLACES = 2_000
"""Jobs that may run on it at once: what it does costs nothing, but workers hold each while it runs."""
PICTURES = 4
"""How many pictures there are of each format: as many as a job can ask for."""
FORMATS = ("png", "jpeg", "webp")
QUEUE_SECONDS, RUN_SECONDS = 1.0, 3.0
LONGEST_SECONDS = 1e6
"""A job expires sooner."""

_WORD = re.compile(r"(?:^|(?<=[^\w:]))sim:([a-z0-9]+)(?:=([0-9]+(?:\.[0-9]+)?))?")
_ID = re.compile(r"test-([0-9]{1,17})-([0-9]{1,10})-([0-9]{1,10}|stuck)-(ok|fail)-([1-4])-(png|jpeg|webp)")


@dataclass(frozen=True, slots=True)
class Course:
    """All that will happen to one piece of work, in milliseconds; its text is its id."""

    taken: int
    queue: int
    run: int | None
    """None for one that never ends."""
    fails: bool
    count: int
    form: str

    @classmethod
    def read(cls, request_id: str) -> Self | None:
        """What an id says; None if it is none of ours."""
        found = _ID.fullmatch(request_id)
        if not found:
            return None
        taken, queue, run, end, count, form = found.groups()
        lasts = None if run == "stuck" else int(run)
        return cls(int(taken), int(queue), lasts, fails=end == "fail", count=int(count), form=form)

    def __str__(self) -> str:
        run = "stuck" if self.run is None else self.run
        end = "fail" if self.fails else "ok"
        return f"test-{self.taken}-{self.queue}-{run}-{end}-{self.count}-{self.form}"

    def at(self, now: float) -> InQueue | Running | None:
        """Where it is at this time, in Unix seconds; None once it has ended."""
        passed = now * 1000 - self.taken
        if passed < self.queue:
            return InQueue(math.ceil((self.queue - passed) / 1000) - 1)
        return Running() if self.run is None or passed < self.queue + self.run else None


class Scripted:
    """Stands where the real upstream would, for jobs of test keys."""

    def __init__(self, public_url: str, *, clock: Callable[[], float] = time.time) -> None:
        """`public_url` is where the API serves the pictures; `clock` gives Unix seconds."""
        self._pictures = f"{public_url}/test-pictures"
        self._clock = clock

    async def submit(
        self, model: str, inputs: dict[str, Any], *, token: str, not_after: float
    ) -> SubmitOutcome:
        """Take it, or do what the prompt says instead."""
        if time.monotonic() > not_after:
            return Unreachable("it is too late to begin")
        words: dict[str, str] = dict(_WORD.findall(str(inputs.get("prompt", ""))))
        if "reject" in words:
            return Refused("The prompt says sim:reject.", 400, None)
        if "lost" in words:
            return Uncertain("the prompt says sim:lost")
        return Accepted(str(self._course(words, inputs)))

    async def status(self, request_id: str, *, token: str) -> StatusOutcome:
        """Where it is by now."""
        course = Course.read(request_id)
        return (course.at(self._clock()) or Finished()) if course else Missing()

    async def result(self, request_id: str, *, token: str) -> ResultOutcome:
        """How it ended, if it has."""
        course = Course.read(request_id)
        if course is None:
            return Missing()
        if where := course.at(self._clock()):
            return where
        if course.fails:
            return Failed("The prompt says sim:fail.")
        names = [f"{self._pictures}/{number}.{course.form}" for number in range(1, course.count + 1)]
        return Succeeded({"images": names})

    async def cancel(self, request_id: str, *, token: str) -> CancelOutcome:
        """Take it out of the queue. It is not remembered: whoever asked writes it down."""
        course = Course.read(request_id)
        if course is None:
            return Missing()
        return Cancelled() if isinstance(course.at(self._clock()), InQueue) else NotCancellable()

    def _course(self, words: dict[str, str], inputs: dict[str, Any]) -> Course:
        count, form = inputs.get("num_images"), inputs.get("output_format")
        return Course(
            taken=round(self._clock() * 1000),
            queue=_milliseconds(words.get("queue"), otherwise=QUEUE_SECONDS),
            run=None if "stuck" in words else _milliseconds(words.get("run"), otherwise=RUN_SECONDS),
            fails="fail" in words,
            count=count if isinstance(count, int) and 1 <= count <= PICTURES else 1,
            form=form if form in FORMATS else FORMATS[0],
        )


def _milliseconds(value: str | None, *, otherwise: float) -> int:
    seconds = float(value) if value else otherwise
    return round(min(seconds, LONGEST_SECONDS) * 1000)
