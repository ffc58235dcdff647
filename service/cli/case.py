"""The whole story of a job, on a screen and as JSON."""

from datetime import datetime
from typing import Any

import msgspec
from rich.text import Text

from service.cli import console
from service.clock import moment
from service.jobs import view
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.oversight import Case
from service.webhooks import log

_STYLES = {Status.COMPLETED: "bold green", Status.FAILED: "bold red", Status.EXPIRED: "bold red"}


def document(case: Case, *, public_url: str) -> dict[str, Any]:
    """As JSON: the job as its tenant sees it, and what only operators see."""
    return {
        "tenant": case.tenant,
        "job": view.document(case.job, public_url=public_url),
        "work": _work(case.job),
        "timeline": [view.entry(happened) for happened in case.timeline],
        "deliveries": [
            log.document(delivery) | {"attempts": [log.attempt(one) for one in tried]}
            for delivery, tried in case.deliveries
        ],
    }


def tell(case: Case) -> None:
    """As text, in the order in which it happened."""
    job = case.job
    console.out.print(
        Text.assemble(
            (f"{job.id}  ", "bold"),
            (job.status, _STYLES.get(job.status, "bold")),
            f"  {case.tenant}, {job.model}",
        )
    )
    shown = {
        "created": moment(job.created_at),
        "expires": moment(job.expires_at),
        "external id": job.external_id,
        "retry of": job.retry_of,
        "waiting for": job.waiting_for,
        "queue position": job.queue_position,
        "cancel": job.cancel_outcome,
        "deleted": moment(job.deleted_at),
        "input": _line(job.input),
        "output": job.output and _line(job.output),
        "error": job.error and _line(job.error),
        **{name.replace("_", " "): value for name, value in _work(job).items()},
    }
    console.facts("Job", {name: value for name, value in shown.items() if value is not None})
    console.out.print("\nTimeline", style="bold")
    console.listing(
        ("", "AT", "AFTER", "WHAT", "MORE"),
        (
            (
                entry.sequence,
                moment(entry.at),
                _after(entry.at, job.created_at),
                entry.type,
                _line(entry.data) if entry.data else "",
            )
            for entry in case.timeline
        ),
    )
    console.out.print("\nDeliveries" if case.deliveries else "\nNo deliveries", style="bold")
    for delivery, tried in case.deliveries:
        waits = f", due {moment(delivery.due_at)}" if delivery.status == "pending" else ""
        why = f" ({delivery.reason})" if delivery.reason else ""
        console.out.print(f"{delivery.type} to {delivery.url}: {delivery.status}{why}{waits}")
        console.listing(
            ("", "AT", "AFTER", "STATUS", "MS", "ERROR"),
            (
                (
                    one.number,
                    moment(one.at),
                    _after(one.at, delivery.created_at),
                    one.status_code,
                    one.latency_ms,
                    one.error,
                )
                for one in tried
            ),
        )


def _work(job: Job) -> dict[str, Any]:
    """Who works on it, and how often it was sent."""
    return {
        "upstream_id": job.upstream_id,
        "submits": job.submits,
        "unconfirmed": job.unconfirmed,
        "owner": job.owner,
        "lease_until": moment(job.lease_until),
        "epoch": job.epoch,
        "due_at": moment(job.due_at) if job.status is Status.ACCEPTED else None,
    }


def _line(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _after(at: datetime, begin: datetime) -> str:
    return f"+{(at - begin).total_seconds():.3f} s"
