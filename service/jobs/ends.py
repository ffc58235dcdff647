"""The errors that jobs end with, as pure decisions: what to say, and whether money may have been spent.

A job that the upstream took may have been charged, whatever it says of it later, unless it took it out of
its queue again; and of a submit that nobody can tell about, nobody can tell that either.
"""

from service.jobs.job import Job, JobError
from service.upstream.outcomes import Failed, Refused

LONGEST_MESSAGE = 2_000


def refused(job: Job, outcome: Refused) -> JobError:
    """The upstream would not take it; an earlier submit of it may have been taken all the same."""
    return JobError(
        code="upstream_rejected",
        message=outcome.message[:LONGEST_MESSAGE],
        retryable=False,
        may_be_charged=job.unconfirmed > 0,
        http_status=outcome.http_status,
        error_code=outcome.error_code,
    )


def failed(outcome: Failed) -> JobError:
    """The upstream took it and could not do it."""
    return JobError(
        code="upstream_failed",
        message=outcome.message[:LONGEST_MESSAGE],
        retryable=False,
        may_be_charged=True,
        http_status=200,
    )


def unconfirmed(reason: str) -> JobError:
    """Nobody knows whether the submit was taken, and it cannot be looked up."""
    message = (
        f"The submit was sent, but its answer was lost ({reason})."
        " The upstream may have taken and charged it, and it cannot be looked up there."
    )
    return JobError(
        code="submission_unconfirmed",
        message=message[:LONGEST_MESSAGE],
        retryable=False,
        may_be_charged=True,
    )


def forgotten() -> JobError:
    """The upstream took it and does not know it any more."""
    return JobError(
        code="upstream_not_found",
        message="The upstream does not know the job any more: it was deleted there, or it has expired.",
        retryable=False,
        may_be_charged=True,
        http_status=404,
    )


def expired(job: Job, *, cancelled: bool) -> JobError:
    """The deadline came first; `cancelled` if the upstream took it out of its queue for that."""
    charged = job.unconfirmed > 0 or (job.upstream_id is not None and not cancelled)
    return JobError(
        code="expired",
        message=f"The job was still {job.status} at its deadline.",
        retryable=not charged,
        may_be_charged=charged,
    )
