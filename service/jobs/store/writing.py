"""A move of a job as a value, so that several of the same kind can be made in one statement.

Each has its own guard and its own entry, and what one refuses says nothing of the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec

from sqlalchemy.sql.selectable import TextualSelect

from service.database import AnyConnection
from service.jobs.job import Job

Given = ParamSpec("Given")


@dataclass(frozen=True, slots=True)
class Write:
    """A move of one job that is still to be made: by which statement, with what."""

    job: Job
    statement: TextualSelect
    given: dict[str, Any]


async def make(connection: AnyConnection, writes: Sequence[Write]) -> list[Job | None]:
    """Make moves that share a statement; of each the job after it, or None when its guard refused.

    A job that comes twice is moved once, and the second time its guard refuses, as it would a moment later.
    """
    given = {name: [write.given[name] for write in writes] for name in writes[0].given}
    rows = await connection.execute(writes[0].statement, given)
    moved = {job.id: job for job in map(Job.of, rows)}
    return [moved.pop(write.job.id, None) for write in writes]


class Making(Generic[Given]):
    """A function that says what to write, made into one that writes it."""

    def __init__(self, of: Callable[Concatenate[Job, Given], Write]) -> None:
        self.of = of

    async def __call__(
        self, connection: AnyConnection, job: Job, *args: Given.args, **kwargs: Given.kwargs
    ) -> Job | None:
        (moved,) = await make(connection, [self.of(job, *args, **kwargs)])
        return moved
