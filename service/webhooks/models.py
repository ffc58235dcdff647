"""Tables of what is told: events, their deliveries, the attempts of each; where to; and what signs."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Sequence, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from service.database.base import Base, CreatedAt, Id, one_of
from service.tenants.keys import MODES

DELIVERY_STATUSES = ("pending", "delivering", "delivered", "exhausted", "held", "cancelled")
SIGNINGS = ("v1", "v1a")
DISABLED_REASONS = ("asked", "gone", "failing")
"""By its tenant; because it answered 410; because nothing has reached it for days."""
ENDED_DELIVERIES = "'delivered', 'exhausted', 'cancelled'"

EVENT_POSITIONS = Sequence("event_positions", metadata=Base.metadata)
"""Places in the feed: what is stamped later has a higher one, whatever the stamper knows of the others."""


class EventRow(Base):
    """Something that is told, with the very bytes it is told in."""

    __tablename__ = "events"

    id: Mapped[Id]
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    mode: Mapped[str]
    # No foreign key: this package knows nothing of jobs. Null for what is not about one.
    job_id: Mapped[UUID | None]
    type: Mapped[str]
    # The job has ended with it.
    is_end: Mapped[bool]
    # Its number on the job's timeline.
    sequence: Mapped[int | None]
    # Null once the job was deleted: it is not sent any more.
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    # Its place in the feed, stamped after the commit by one worker at a time: those of transactions that
    # commit out of order are still read in order. Null until then, and not read.
    position: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        one_of("mode", MODES),
        CheckConstraint("(job_id IS NULL) = (sequence IS NULL)", name="about_a_job"),
        Index("ix_events_feed", "tenant_id", "mode", "position", postgresql_where="position IS NOT NULL"),
        Index("ix_events_unplaced", "id", postgresql_where="position IS NULL"),
        # What was missed is looked for between two times.
        Index("ix_events_created_at", "tenant_id", "mode", "created_at"),
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
    job_id: Mapped[UUID | None]
    url: Mapped[str]
    # With the tenant, the lane it goes in: scheme, host and port of an ad-hoc URL, or `endpoint:` and its id.
    origin: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="pending")
    # Counted when one is begun, so that no two POSTs bear the same number.
    attempts: Mapped[int] = mapped_column(server_default="0")
    # The next attempt is not made before.
    due_at: Mapped[CreatedAt]
    # Why it is where it is: `gone`, `forbidden_address`, `attempts`, `age`, `removed`.
    reason: Mapped[str | None]
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    epoch: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
    mode: Mapped[str] = mapped_column(server_default="live")
    # Where it goes to, unless that is a `callback_url`. It stays when the endpoint is removed: no foreign
    # key, since that would go through all that an endpoint ever got.
    endpoint_id: Mapped[UUID | None]
    # Of a pending one: it was due and not taken at once, and is found by its lane's row from then on.
    in_line: Mapped[bool] = mapped_column(server_default=text("false"))
    # Four days after its event, or after somebody asked for it again.
    gives_up_at: Mapped[datetime] = mapped_column(server_default=text("now() + interval '4 days'"))
    # Those before it was asked for again: the schedule begins anew.
    past_attempts: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        one_of("status", DELIVERY_STATUSES),
        one_of("mode", MODES),
        CheckConstraint(f"(status IN ({ENDED_DELIVERIES})) = (finished_at IS NOT NULL)", name="finished"),
        CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name="lease"),
        CheckConstraint("(status = 'delivering') = (owner IS NOT NULL)", name="owned_while_delivering"),
        CheckConstraint("attempts > 0 OR status NOT IN ('delivering', 'delivered')", name="attempted"),
        Index("uq_webhook_deliveries_event_id_url", "event_id", text("md5(url)"), unique=True),
        # What a claim looks at first: in the order of time, without what stands in a line.
        Index("ix_webhook_deliveries_due", "due_at", postgresql_where="status = 'pending' AND NOT in_line"),
        # The lines of the lanes.
        Index(
            "ix_webhook_deliveries_waiting",
            "tenant_id",
            "origin",
            "due_at",
            postgresql_where="status = 'pending'",
        ),
        # Lists, newest first: with the status, so that a rare one is not looked for among all the others.
        Index("ix_webhook_deliveries_list", "tenant_id", "mode", "status", text("id DESC")),
        Index("ix_webhook_deliveries_list_by_job", "job_id", text("id DESC")),
        Index(
            "ix_webhook_deliveries_list_by_endpoint",
            "endpoint_id",
            "status",
            text("id DESC"),
            postgresql_where="endpoint_id IS NOT NULL",
        ),
        Index("ix_webhook_deliveries_leased", "lease_until", postgresql_where="status = 'delivering'"),
        # What may become too old before anybody looks at it again.
        Index(
            "ix_webhook_deliveries_ageing",
            "gives_up_at",
            postgresql_where="status = 'held' OR status = 'pending' AND in_line",
        ),
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


class EndpointRow(Base):
    """A URL that a tenant has registered for events of all its jobs."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[Id]
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    mode: Mapped[str]
    url: Mapped[str]
    description: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    signing: Mapped[str]
    created_at: Mapped[CreatedAt]
    # Nothing is sent any more from then on: its deliveries are held.
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    # What auto-disabling goes by, all of it since the last success.
    succeeded_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    failed_events: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        one_of("mode", MODES),
        one_of("signing", SIGNINGS),
        one_of("disabled_reason", DISABLED_REASONS),
        CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled"),
        CheckConstraint("cardinality(events) > 0", name="events"),
        Index("uq_webhook_endpoints_url", "tenant_id", "mode", text("md5(url)"), unique=True),
    )


class LaneRow(Base):
    """How it stands with one receiver of a tenant; there is none for a receiver with which all is well."""

    __tablename__ = "webhook_lanes"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    # As in the deliveries.
    origin: Mapped[str] = mapped_column(primary_key=True)
    # When something of it was last taken, or failed.
    served_at: Mapped[datetime | None]
    # Failures in a row, and how often in a row they have opened the breaker.
    failures: Mapped[int] = mapped_column(server_default="0")
    openings: Mapped[int] = mapped_column(server_default="0")
    # Nothing is sent before; then one probe.
    open_until: Mapped[datetime | None]
    # Attempts at once while it recovers, twice as many after each success; null for as many as usual.
    places: Mapped[int | None]
    # When a claim has to look at its line; null while nobody stands there.
    ready_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_webhook_lanes_ready", "ready_at", postgresql_where="ready_at IS NOT NULL"),)


class SecretRow(Base):
    """A secret that signs what goes to an endpoint or, without one, to the tenant's `callback_url`s."""

    __tablename__ = "webhook_secrets"

    id: Mapped[Id]
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    # Signs until then beside its successor; null for the one in force.
    expires_at: Mapped[datetime | None]
    endpoint_id: Mapped[UUID | None] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    # What the tenant's own is for: live and test have one each. An endpoint's is for its endpoint.
    mode: Mapped[str] = mapped_column(server_default="live")

    __table_args__ = (
        one_of("mode", MODES),
        Index("ix_webhook_secrets_tenant_id", "tenant_id"),
        Index("ix_webhook_secrets_endpoint_id", "endpoint_id"),
    )


class SigningKeyRow(Base):
    """An Ed25519 key of the service, which signs for endpoints with `v1a`; its public half is published."""

    __tablename__ = "webhook_keys"

    id: Mapped[Id]
    public: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    # Signs and is published until then, beside its successor; null for the one in force.
    expires_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("octet_length(public) = 32", name="public"),
        # Several processes may find at once that there is none yet.
        Index(
            "uq_webhook_keys_in_force",
            text("(expires_at IS NULL)"),
            unique=True,
            postgresql_where="expires_at IS NULL",
        ),
    )
