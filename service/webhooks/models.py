"""Tables of what is told: events, their deliveries, the attempts of each, and the secrets that sign."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from service.database.base import Base, CreatedAt, Id, one_of
from service.tenants.keys import MODES

DELIVERY_STATUSES = ("pending", "delivering", "delivered", "exhausted", "held", "cancelled")
ENDED_DELIVERIES = "'delivered', 'exhausted', 'cancelled'"


class EventRow(Base):
    """Something that is told, with the very bytes it is told in."""

    __tablename__ = "events"

    id: Mapped[Id]
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    mode: Mapped[str]
    # No foreign key: this package knows nothing of jobs.
    job_id: Mapped[UUID]
    type: Mapped[str]
    # The job has ended with it.
    is_end: Mapped[bool]
    # Its number on the job's timeline.
    sequence: Mapped[int]
    # Null once the job was deleted: it is not sent any more.
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        one_of("mode", MODES),
        Index("uq_events_job_id_sequence", "job_id", "sequence", unique=True),
        # A job ends once, so it is told once that it ended.
        Index("uq_events_end", "job_id", unique=True, postgresql_where="is_end"),
    )


class DeliveryRow(Base):
    """One event on its way to one URL."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[Id]
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"))
    job_id: Mapped[UUID]
    url: Mapped[str]
    # Scheme, host and port of the URL: with the tenant, the lane it goes in.
    origin: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="pending")
    # Counted when one is begun, so that no two POSTs bear the same number.
    attempts: Mapped[int] = mapped_column(server_default="0")
    # The next attempt is not made before.
    due_at: Mapped[CreatedAt]
    # Why it is where it is, where that is not plain: `gone`, `forbidden_address`, `attempts`, `age`.
    reason: Mapped[str | None]
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    epoch: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("status", DELIVERY_STATUSES),
        CheckConstraint(f"(status IN ({ENDED_DELIVERIES})) = (finished_at IS NOT NULL)", name="finished"),
        CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name="lease"),
        CheckConstraint("(status = 'delivering') = (owner IS NOT NULL)", name="owned_while_delivering"),
        CheckConstraint("attempts > 0 OR status NOT IN ('delivering', 'delivered')", name="attempted"),
        Index("uq_webhook_deliveries_event_id_url", "event_id", text("md5(url)"), unique=True),
        # The claim goes from lane to lane along it, and looks only at the first due ones of each.
        Index(
            "ix_webhook_deliveries_waiting",
            "tenant_id",
            "origin",
            "due_at",
            postgresql_where="status = 'pending'",
        ),
        Index("ix_webhook_deliveries_leased", "lease_until", postgresql_where="status = 'delivering'"),
        {"postgresql_with": {"fillfactor": 85, "autovacuum_vacuum_scale_factor": 0.02}},
    )


class AttemptRow(Base):
    """One POST of a delivery, and what came of it."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_deliveries.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    at: Mapped[CreatedAt]
    status_code: Mapped[int | None]
    latency_ms: Mapped[int]
    # What went wrong, in words; null when the receiver answered 2xx.
    error: Mapped[str | None]
    # The first KiB of the answer.
    response: Mapped[bytes] = mapped_column(LargeBinary)


class SecretRow(Base):
    """A secret that signs what goes to a tenant's `callback_url`s."""

    __tablename__ = "webhook_secrets"

    id: Mapped[Id]
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    # Signs until then beside its successor; null for the one in force.
    expires_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_webhook_secrets_tenant_id", "tenant_id"),)
