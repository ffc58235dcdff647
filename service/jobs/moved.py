"""A committed move, as operators hear of it: one wide event in the log, and its numbers."""

from datetime import datetime

from service.jobs.job import Job
from service.jobs.lifecycle import INTEND, Move
from service.telemetry import log, metrics


def tell_of(before: Job, after: Job, move: Move) -> None:
    """Say that the job has moved; to be called after the commit."""
    log.info(
        "job.moved",
        event_type=move.event,
        job_id=str(after.id),
        tenant_id=str(after.tenant_id),
        model=after.model,
        leaves=before.status,
        reaches=after.status,
        sequence=after.sequence,
        epoch=after.epoch,
        upstream_id=after.upstream_id,
        error=after.error["code"] if after.error else None,
    )
    metrics.labelled(metrics.MOVES, move.event, after.model).inc()
    if move is INTEND and after.submits == 1:
        seconds = _seconds(after.created_at, after.intent_at)
        metrics.labelled(metrics.SECONDS_TO_SUBMIT, after.model).observe(seconds)
    if after.has_ended and after.submitted_at is not None:
        seconds = _seconds(after.submitted_at, after.finished_at)
        metrics.labelled(metrics.SECONDS_TO_END, after.model, after.status).observe(seconds)


def _seconds(begin: datetime, end: datetime | None) -> float:
    assert end is not None, "a move writes its time"
    # The clock that due times run on may be a test's, and behind Postgres's.
    return max(0.0, (end - begin).total_seconds())
