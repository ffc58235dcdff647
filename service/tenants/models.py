"""Tables of who asks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
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
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("weight BETWEEN 1 AND 1000", name="weight"),
        CheckConstraint("max_in_flight >= 0", name="max_in_flight"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name"),
    )


class ApiKeyRow(Base):
    """What a caller authenticates with; only its hash is known here."""

    __tablename__ = "api_keys"

    id: Mapped[Id]
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    # The beginning of the key, by which people recognise it in a list.
    prefix: Mapped[str]
    mode: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("mode", MODES),
        CheckConstraint("octet_length(hash) = 32", name="hash"),
        CheckConstraint("cardinality(scopes) > 0", name="scopes"),
        Index("ix_api_keys_tenant_id", "tenant_id", "id"),
    )


class UpstreamTokenRow(Base):
    """An account with the upstream: whose token submits a job and later reads it.

    The row without a tenant is the platform's: its token comes from the settings and is never stored.
    The row stays the same when its token is changed, so that jobs under way are read with the new one.
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
        UniqueConstraint("tenant_id", postgresql_nulls_not_distinct=True),
        CheckConstraint("(tenant_id IS NULL) = (sealed IS NULL)", name="sealed"),
        CheckConstraint("(tenant_id IS NULL) = (max_in_flight IS NULL)", name="max_in_flight"),
        CheckConstraint("(trouble IS NULL) = (trouble_since IS NULL)", name="trouble"),
    )


PLATFORM_TOKEN_ID = UUID("00000000-0000-7000-8000-000000000001")
"""The platform's row, made by the first migration."""

__all__ = ["PLATFORM_TOKEN_ID", "ApiKeyRow", "TenantRow", "UpstreamTokenRow"]
