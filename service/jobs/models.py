"""Tables of what was asked for: jobs, what they are found by, and the timeline of each."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, JSON, NUMERIC, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from service.database.base import Base, CreatedAt, Id, Moment, one_of, quoted
from service.jobs.lifecycle import AT_UPSTREAM, ENDS, UNDER_WAY, Status
from service.tenants.keys import MODES

PRIORITIES = ("low", "normal", "high")
"""Stored by their index, so that the claim can order by it."""
CANCEL_OUTCOMES = ("pending", "cancelled", "not_cancellable")
ON_UNCONFIRMED = ("fail", "resubmit")
WAITS = ("upstream_limit", "upstream_account", "backoff")
"""Why an accepted job was put back. `tenant_limit` is not stored: it is read from the counts."""
OVERDUE = "deadline"
"""What an accepted job waits for whose deadline is over: nothing but its end. Nobody is told this word."""


def states(wanted: frozenset[Status]) -> str:
    """The states as an SQL list, in the order of a job's life."""
    return quoted(status for status in Status if status in wanted)


_ENDED = f"status IN ({states(ENDS)})"
_UNDER_WAY = f"status IN ({states(UNDER_WAY)})"
_AT_UPSTREAM = f"status IN ({states(AT_UPSTREAM)})"
_READY = "status = 'accepted' AND waiting_for IS NULL"
_PUT_BACK = f"status = 'accepted' AND waiting_for <> '{OVERDUE}'"
_EMPTY = (
    "input::text = '{}' AND warnings::text = '[]' AND metadata::text = '{}'"
    " AND callback_url IS NULL AND external_id IS NULL"
)
_SHOWN = "deleted_at IS NULL"


def _list(name: str, *filters: str, where: str = _SHOWN) -> Index:
    return Index(name, "tenant_id", "mode", *filters, text("id DESC"), postgresql_where=where)


class JobRow(Base):
    """One job: the request, the state, who works on it, and what came of it."""

    __tablename__ = "jobs"

    id: Mapped[Id]
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    mode: Mapped[str]

    # The request, as validated. `json` keeps the order of the keys.
    model: Mapped[str]
    input: Mapped[dict[str, Any]] = mapped_column(JSON)
    warnings: Mapped[list[Any]] = mapped_column(JSON)
    callback_url: Mapped[str | None]
    callback_events: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    external_id: Mapped[str | None]
    # Not `metadata`, which SQLAlchemy keeps for itself.
    labels: Mapped[dict[str, str]] = mapped_column("metadata", JSON)
    priority: Mapped[int]
    on_unconfirmed: Mapped[str]
    retry_of: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"), unique=True)

    # The state. `sequence` is the number of the newest entry on the timeline.
    status: Mapped[str]
    sequence: Mapped[int] = mapped_column(server_default="1")

    # The right to work on it. Every write of a worker is guarded by the epoch its claim made.
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    epoch: Mapped[int] = mapped_column(server_default="0")
    # Not claimed before; moved into the future when a submit was not taken.
    due_at: Mapped[CreatedAt]
    waiting_for: Mapped[str | None]

    # The submit: how often the intent was committed, when last, and with whose token.
    submits: Mapped[int] = mapped_column(server_default="0")
    # Submits of which nobody knows whether they were taken: each may have been charged.
    unconfirmed: Mapped[int] = mapped_column(server_default="0")
    # Submits in a row that were not taken; the backoff grows with it.
    refusals: Mapped[int] = mapped_column(server_default="0")
    intent_at: Mapped[datetime | None]
    token_id: Mapped[UUID | None] = mapped_column(ForeignKey("upstream_tokens.id"))
    upstream_id: Mapped[str | None]
    queue_position: Mapped[int | None]

    # The wish to cancel it, and what came of that.
    cancel_requested_at: Mapped[datetime | None]
    cancel_outcome: Mapped[str | None]
    # When the upstream is asked (again); whoever asks moves it on, so that only one does.
    cancel_due_at: Mapped[datetime | None]

    # What came of it.
    output: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    cost_usd: Mapped[Decimal | None] = mapped_column(NUMERIC(12, 6))
    # When the upstream is asked (again) what it cost, which it may tell late.
    cost_due_at: Mapped[datetime | None]

    created_at: Mapped[CreatedAt]
    submitted_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[Moment]
    # Deleted by its tenant: what is left is a tombstone, which says that there was a job and how it ended.
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("status", Status),
        one_of("mode", MODES),
        one_of("cancel_outcome", CANCEL_OUTCOMES),
        one_of("on_unconfirmed", ON_UNCONFIRMED),
        one_of("waiting_for", (*WAITS, OVERDUE)),
        CheckConstraint(f"priority BETWEEN 0 AND {len(PRIORITIES) - 1}", name="priority"),
        CheckConstraint(f"({_ENDED}) = (finished_at IS NOT NULL)", name="ended_at"),
        CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name="lease"),
        CheckConstraint(f"NOT ({_ENDED}) OR owner IS NULL", name="ended_is_not_owned"),
        CheckConstraint(
            f"NOT ({_UNDER_WAY}) OR (intent_at IS NOT NULL AND token_id IS NOT NULL)", name="intent"
        ),
        CheckConstraint(
            f"NOT ({_AT_UPSTREAM}) OR (upstream_id IS NOT NULL AND submitted_at IS NOT NULL)", name="taken"
        ),
        CheckConstraint("status <> 'in_progress' OR started_at IS NOT NULL", name="started"),
        CheckConstraint(
            "(status = 'completed' AND deleted_at IS NULL) = (output IS NOT NULL)", name="output"
        ),
        CheckConstraint(
            "(status IN ('failed', 'expired') AND deleted_at IS NULL) = (error IS NOT NULL)", name="error"
        ),
        CheckConstraint(
            f"deleted_at IS NULL OR (({_ENDED}) AND {_EMPTY})",
            name="tombstone",
        ),
        CheckConstraint("status = 'accepted' OR waiting_for IS NULL", name="only_accepted_waits"),
        CheckConstraint("status = 'in_queue' OR queue_position IS NULL", name="only_queued_has_position"),
        CheckConstraint(
            "(cancel_requested_at IS NULL) = (cancel_outcome IS NULL)"
            " AND (cancel_outcome IS NOT DISTINCT FROM 'pending') = (cancel_due_at IS NOT NULL)",
            name="cancel",
        ),
        CheckConstraint(f"NOT ({_ENDED}) OR cancel_outcome <> 'pending'", name="ended_cancel_is_known"),
        # The claim: from tenant to tenant, and of one tenant the oldest of the highest priority. What was put
        # back or is overdue is not in it, so that nothing is read that may not be claimed.
        Index("ix_jobs_ready", "mode", "tenant_id", text("priority DESC"), "id", postgresql_where=_READY),
        # What was put back, by when it is due again.
        Index("ix_jobs_put_back", "due_at", postgresql_where=_PUT_BACK),
        # The claim's counts, and the search for leases that ran out. Without the lease itself:
        # it changes every two seconds, and an index on it would make each renewal rewrite every index.
        Index(
            "ix_jobs_places",
            "token_id",
            "tenant_id",
            postgresql_where=f"token_id IS NOT NULL AND NOT ({_ENDED})",
        ),
        Index("ix_jobs_expiring", "expires_at", postgresql_where="status = 'accepted'"),
        Index("ix_jobs_cancel_due", "cancel_due_at", postgresql_where="cancel_due_at IS NOT NULL"),
        Index("ix_jobs_cost_due", "cost_due_at", postgresql_where="cost_due_at IS NOT NULL"),
        # What was used between two days, with all that this needs: rows hold prompts, and a million of them
        # would be read.
        Index(
            "ix_jobs_usage",
            "tenant_id",
            "mode",
            "finished_at",
            postgresql_where="finished_at IS NOT NULL",
            postgresql_include=["model", "status", "cost_usd", "submitted_at", "unconfirmed"],
        ),
        # Lists, newest first: an index for each filter, so that a page costs the same whatever is stored.
        _list("ix_jobs_list"),
        _list("ix_jobs_list_by_status", "status"),
        _list("ix_jobs_list_by_model", "model"),
        _list("ix_jobs_list_by_external_id", "external_id", where="external_id IS NOT NULL"),
        {
            # Room on each page for the next version of a row, so that renewals touch no index.
            "postgresql_with": {
                "fillfactor": 70,
                "autovacuum_vacuum_scale_factor": 0.02,
                "autovacuum_analyze_scale_factor": 0.02,
            }
        },
    )


class JobEventRow(Base):
    """One entry on a job's timeline. Append-only; numbers have no holes."""

    __tablename__ = "job_events"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    type: Mapped[str]
    at: Mapped[CreatedAt]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (CheckConstraint("sequence >= 1", name="sequence"),)


class JobLabelRow(Base):
    """One pair of a job's metadata, to find the job by.

    An index on the whole would not be used behind a row-level policy: `jsonb @>` is not leakproof.
    """

    __tablename__ = "job_labels"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    tenant_id: Mapped[UUID]
    mode: Mapped[str]

    __table_args__ = (Index("ix_job_labels_list", "tenant_id", "mode", "key", "value", text("job_id DESC")),)


class RunTimeRow(Base):
    """One bucket of a model's histogram of run times, which the pace of reads follows."""

    __tablename__ = "run_times"

    model: Mapped[str] = mapped_column(primary_key=True)
    bucket: Mapped[int] = mapped_column(primary_key=True)
    # Jobs that ended in it, of which older ones count less and less.
    weight: Mapped[float]


class IdempotencyKeyRow(Base):
    """What a caller's key was used for, so that the same request again is answered with the same job."""

    __tablename__ = "idempotency_keys"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    mode: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    # SHA-256 of the interface and the body, as they came.
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    # A job goes only after the key that made it: else the same request would be paid for again.
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), unique=True)
    # Once it is old enough the key may be used for something else.
    created_at: Mapped[CreatedAt]

    __table_args__ = (CheckConstraint("octet_length(fingerprint) = 32", name="fingerprint"),)
