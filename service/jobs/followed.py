"""A job that the upstream has, with what only the process that follows it remembers of it."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from service.jobs.absence import Absence
from service.jobs.account import Account
from service.jobs.job import Job
from service.jobs.pace import Course


@dataclass(slots=True)
class Followed:
    """Times are the event loop's."""

    job: Job
    account: Account
    expires: float
    absence: Absence
    course: Course
    created: float | None
    """When the upstream took it, as near as its submit tells; None for one that another process submitted."""
    starting: asyncio.Task[None] | None = None
    """The write that it runs, while that is under way."""

    @classmethod
    def of(cls, job: Job, account: Account, *, at: datetime | None) -> Self:
        """From now on. `at` is the time by Postgres, if it was not just submitted."""
        now, taken = asyncio.get_running_loop().time(), job.submitted_at or job.created_at
        clock = at or taken
        since = now - (clock - taken).total_seconds()
        return cls(
            job=job,
            account=account,
            expires=now + (job.expires_at - clock).total_seconds(),
            absence=Absence(taken=since),
            course=Course(since, since),
            created=None if at else since - (taken - (job.intent_at or taken)).total_seconds() / 2,
        )
