"""Tables of who asks: tenants, their keys and accounts, who changed what, and what was used."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, NUMERIC, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from service.database.base import Base, CreatedAt, Id, one_of
from service.tenants.keys import MODES


class TenantRow(Base):
    """A team whose jobs, keys and limits are its own."""

    __tablename__ = "tenants"

    id: Mapped[Id]
    name: Mapped[str]
    # Share of the upstream's places, relative to other tenants that wait.
    weight: Mapped[int] = mapped_column(server_default="1")
    # Most of its jobs that hold one of the upstream's places at once.
    max_in_flight: Mapped[int] = mapped_column(server_default="1000")
    # Most of its jobs that wait here at once.
    max_queued: Mapped[int] = mapped_column(server_default="100000")
    # Requests of all its keys to all processes of the API.
    requests_per_second: Mapped[int] = mapped_column(server_default="1000")
    max_endpoints: Mapped[int] = mapped_column(server_default="20")
    max_keys: Mapped[int] = mapped_column(server_default="100")
    created_at: Mapped[CreatedAt]
    # From then on nothing of it is accepted; what runs ends, and is told.
    disabled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("weight BETWEEN 1 AND 1000", name="weight"),
        CheckConstraint("max_in_flight >= 0", name="max_in_flight"),
        CheckConstraint("max_queued >= 0", name="max_queued"),
        CheckConstraint("requests_per_second >= 1", name="requests_per_second"),
        CheckConstraint("max_endpoints >= 0", name="max_endpoints"),
        CheckConstraint("max_keys >= 0", name="max_keys"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name"),
    )


class ApiKeyRow(Base):
    """What a caller authenticates with; only its hash is known here."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    # Null for an operator's key, whose only scope is `admin`.
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    # The beginning of the key, by which people recognise it in a list.
    prefix: Mapped[str]
    mode: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # To within some seconds: it is not written at every request.
    last_used_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("mode", MODES),
        CheckConstraint("(tenant_id IS NULL) = ('admin' = ANY (scopes))", name="admin"),
        CheckConstraint("octet_length(hash) = 32", name="hash"),
        CheckConstraint("cardinality(scopes) > 0", name="scopes"),
        Index("ix_api_keys_tenant_id", "tenant_id", "id"),
    )


class UpstreamTokenRow(Base):
    """An account with the upstream: whose token submits a job and later reads it.

    Two rows have no tenant: the platform's, whose token comes from the settings and is never stored, and that
    of the scripted upstream, which the jobs of test keys run on.
    A row stays the same when its token is changed, so that jobs under way are read with the new one.
    """

    __tablename__ = "upstream_tokens"

    id: Mapped[Id]
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Most jobs that hold a place with this account at once; the platform's comes from the settings.
    max_in_flight: Mapped[int | None]
    # What the upstream says when it turns the account away, and since when; a worker writes it.
    trouble: Mapped[str | None]
    trouble_since: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("tenant_id"),
        CheckConstraint("(tenant_id IS NULL) = (sealed IS NULL)", name="sealed"),
        CheckConstraint("(tenant_id IS NULL) = (max_in_flight IS NULL)", name="max_in_flight"),
        CheckConstraint("(trouble IS NULL) = (trouble_since IS NULL)", name="trouble"),
    )


class AuditRow(Base):
    """Who changed what, and when. Append-only; never holds a secret."""

    __tablename__ = "audit_log"

    id: Mapped[Id]
    at: Mapped[CreatedAt]
    # Whom it concerns; null where it is no single tenant.
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    # A key by its id, or who ran the command line.
    actor: Mapped[str]
    # `tenant.created`, `key.revoked`, …
    action: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (Index("ix_audit_log_tenant_id", "tenant_id", text("id DESC")),)


class UsageDayRow(Base):
    """What became of jobs that are not stored any more, added up when they were pruned.

    With the jobs that are still there it is all there ever was.
    """

    __tablename__ = "usage_days"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    mode: Mapped[str] = mapped_column(primary_key=True)
    # The day in UTC on which they ended.
    day: Mapped[date] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    jobs: Mapped[int] = mapped_column(BigInteger)
    cost_usd: Mapped[Decimal] = mapped_column(NUMERIC(18, 6))
    # Of these jobs, those that may have been charged, or charged more, and nobody knows how much.
    uncertain: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (one_of("mode", MODES),)


PLATFORM_TOKEN_ID = UUID("00000000-0000-7000-8000-000000000001")
"""The platform's row, made by the first migration."""
SCRIPTED_TOKEN_ID = UUID("00000000-0000-7000-8000-000000000002")
"""The row of the scripted upstream, made by the second migration."""

TENANTS = cast("Table", TenantRow.__table__)
KEYS = cast("Table", ApiKeyRow.__table__)
TOKENS = cast("Table", UpstreamTokenRow.__table__)
AUDIT_LOG = cast("Table", AuditRow.__table__)
