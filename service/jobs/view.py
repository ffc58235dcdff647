"""A job as callers see it: which of its fields are shown, under which names and in which order.

The same in answers and, without what a receiver does not need, in webhooks.
"""

from typing import Any

from service.clock import moment
from service.jobs.job import Job
from service.jobs.models import OVERDUE, PRIORITIES
from service.jobs.store.reads import Entry
from service.webhooks.store import Progress


def document(job: Job, *, public_url: str, delivery: Progress | None = None) -> dict[str, Any]:
    """The job as it is answered. `public_url` is the base of the URLs in it, without a slash at the end."""
    url = f"{public_url}/v1/jobs/{job.id}"
    return {
        "id": str(job.id),
        "model": job.model,
        "status": job.status,
        "input": job.input,
        "output": job.output,
        "error": job.error,
        "warnings": job.warnings,
        "external_id": job.external_id,
        "metadata": job.metadata,
        "priority": PRIORITIES[job.priority],
        "retry_of": job.retry_of and str(job.retry_of),
        "queue_position": job.queue_position,
        "waiting_for": None if job.waiting_for == OVERDUE else job.waiting_for,
        "cancel": _cancel(job),
        "upstream_request_id": job.upstream_id,
        "cost_usd": None if job.cost_usd is None else float(job.cost_usd),
        "created_at": moment(job.created_at),
        "submitted_at": moment(job.submitted_at),
        "started_at": moment(job.started_at),
        "finished_at": moment(job.finished_at),
        "expires_at": moment(job.expires_at),
        "mode": job.mode,
        "delivery": _delivery(delivery),
        "urls": {"self": url, "cancel": f"{url}/cancel", "events": f"{url}/events"},
    }


def told(job: Job, *, public_url: str) -> dict[str, Any]:
    """The `data` of a webhook about the newest entry of the job's timeline."""
    shown = document(job, public_url=public_url)
    del shown["input"], shown["delivery"]
    return shown | {"sequence": job.sequence, "tenant_id": str(job.tenant_id)}


def entry(happened: Entry) -> dict[str, Any]:
    """One entry of the timeline."""
    return {
        "sequence": happened.sequence,
        "type": happened.type,
        "at": moment(happened.at),
        "data": happened.data,
    }


def _cancel(job: Job) -> dict[str, Any] | None:
    if job.cancel_requested_at is None:
        return None
    return {"requested_at": moment(job.cancel_requested_at), "outcome": job.cancel_outcome}


def _delivery(delivery: Progress | None) -> dict[str, Any] | None:
    if delivery is None:
        return None
    return {"url": delivery.url, "status": delivery.status, "attempts": delivery.attempts}
