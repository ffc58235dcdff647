"""A job in the words of RunComfy's Model API, down to the order of the keys.

As there, `/status` says of every end but a cancelled one that it is `completed`, and only `/result` tells
whether it succeeded. What is not at the upstream yet waits in a queue all the same: `in_queue`.
"""

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from service.jobs.job import Job
from service.jobs.lifecycle import Status

WORDS = MappingProxyType(
    {
        Status.ACCEPTED: "in_queue",
        Status.SUBMITTING: "in_queue",
        Status.IN_QUEUE: "in_queue",
        Status.IN_PROGRESS: "in_progress",
        Status.COMPLETED: "completed",
        Status.FAILED: "completed",
        Status.CANCELLED: "cancelled",
        Status.EXPIRED: "completed",
    }
)
"""What `/status` says in each state."""


def taken(job: Job, *, public_url: str) -> dict[str, Any]:
    """The answer to a submit. `public_url` is the base of the URLs in it, without a slash at the end."""
    return {
        "request_id": str(job.id),
        **_reads(job, public_url),
        "cancel_url": f"{public_url}/v1/requests/{job.id}/cancel",
    }


def status(job: Job, *, public_url: str) -> dict[str, Any]:
    """The answer of `/status`. The position is there only in the queue, and only where it is known."""
    shown: dict[str, Any] = {"request_id": str(job.id), "status": WORDS[job.status]}
    if shown["status"] == "in_queue" and job.queue_position is not None:
        shown["queue_position"] = job.queue_position
    return shown | _reads(job, public_url)


def result(job: Job, *, with_cost: bool) -> dict[str, Any]:
    """The answer of `/result`: before the end the state, as documented. The cost may come late, or never."""
    shown: dict[str, Any] = {"request_id": str(job.id), "status": WORDS[job.status]}
    created = {"created_at": _moment(job.created_at)}
    match job.status:
        case Status.COMPLETED:
            assert job.finished_at is not None, "every end has its time"
            shown |= {"status": "succeeded", "output": _output(job.output or {}), **created}
            shown["finished_at"] = _moment(job.finished_at)
        case Status.FAILED | Status.EXPIRED:
            assert job.error is not None, "what failed or expired says why"
            shown |= {"status": "failed", **created, "error": job.error["message"]}
        case _:
            shown |= created
    if with_cost and job.cost_usd is not None:
        shown["cost"] = float(job.cost_usd)
    return shown


def cancelled(job: Job) -> dict[str, Any]:
    """It will not run. The documented example has this `status` beside this `outcome`, and so have we."""
    return {"request_id": str(job.id), "status": "completed", "outcome": "cancelled"}


def not_cancellable(job: Job) -> dict[str, Any]:
    """It runs, or has ended in some other way."""
    return {"request_id": str(job.id), "status": WORDS[job.status], "outcome": "not_cancellable"}


def cancellation_requested(job: Job) -> dict[str, Any]:
    """Nobody has had the upstream's word yet."""
    return {"request_id": str(job.id), "status": "cancellation_requested"}


def _reads(job: Job, public_url: str) -> dict[str, str]:
    url = f"{public_url}/v1/requests/{job.id}"
    return {"status_url": f"{url}/status", "result_url": f"{url}/result"}


def _output(output: dict[str, Any]) -> dict[str, Any]:
    """Kept as lists; a single one is told under both of its documented keys, for clients that read either."""
    shown: dict[str, Any] = {}
    for one, many in (("image", "images"), ("video", "videos")):
        urls = output.get(many, [])
        if len(urls) == 1:
            shown[one] = urls[0]
        if urls:
            shown[many] = urls
    return shown


def _moment(at: datetime) -> str:
    """Written with an offset, not with a Z, and always with microseconds, as in captured traffic."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
