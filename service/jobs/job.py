"""A job as a value: one row, frozen at the moment it was read."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self
from uuid import UUID

from service.jobs.lifecycle import ENDS, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why a job failed or expired. What may have been charged is never `retryable`."""

    code: str
    message: str
    retryable: bool
    may_be_charged: bool
    http_status: int | None = None
    error_code: int | None = None

    def document(self) -> dict[str, Any]:
        """As it is stored and shown."""
        seen = self.http_status is not None or self.error_code is not None
        return {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            "may_be_charged": self.may_be_charged,
            "upstream": {"http_status": self.http_status, "error_code": self.error_code} if seen else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All columns of one row of `jobs`; their meaning stands on the model."""

    id: UUID
    tenant_id: UUID
    mode: str
    model: str
    input: dict[str, Any]
    warnings: list[dict[str, str]]
    callback_url: str | None
    callback_events: list[str]
    external_id: str | None
    metadata: dict[str, str]
    priority: int
    on_unconfirmed: str
    retry_of: UUID | None
    status: Status
    sequence: int
    owner: str | None
    lease_until: datetime | None
    epoch: int
    due_at: datetime
    waiting_for: str | None
    submits: int
    unconfirmed: int
    refusals: int
    intent_at: datetime | None
    token_id: UUID | None
    upstream_id: str | None
    queue_position: int | None
    cancel_requested_at: datetime | None
    cancel_outcome: str | None
    cancel_due_at: datetime | None
    output: dict[str, Any] | None
    error: dict[str, Any] | None
    cost_usd: Decimal | None
    cost_due_at: datetime | None
    created_at: datetime
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime
    deleted_at: datetime | None

    @classmethod
    def of(cls, row: Iterable[Any]) -> Self:
        """The value of a row that has the columns of `jobs`, and perhaps others after them."""
        columns = dict(zip(cls.__slots__, row, strict=False))
        columns["status"] = Status(columns["status"])
        return cls(**columns)

    @property
    def has_ended(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.status in ENDS
