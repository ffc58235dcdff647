"""Who asks, and whose rows may be touched: every query on tenants' rows begins at a `Tenant`."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Table, select

from service.tenants.keys import Mode


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant as one of its keys reaches it: test and live see nothing of each other."""

    id: UUID
    mode: Mode

    def rows(self, table: Table, *columns: Any) -> Select[Any]:
        """A query that can only find this tenant's rows of this mode; all columns unless some are named."""
        query = select(*columns) if columns else select(table)
        query = query.where(table.c.tenant_id == self.id)
        return query.where(table.c.mode == self.mode) if "mode" in table.c else query


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a tenant may use; the meaning of each stands on the model."""

    max_in_flight: int
    max_queued: int
    requests_per_second: int
    max_endpoints: int
    max_keys: int
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that was checked: whose it is, what it allows, and what the tenant is held to.

    All of it is as old as the keyring's memory: some seconds.
    """

    id: UUID
    tenant: Tenant
    scopes: frozenset[str]
    limits: Limits
    is_of_disabled: bool

    @property
    def actor(self) -> str:
        """Who this is in the audit log."""
        return f"key:{self.id}"


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator's key that was checked: it has no tenant, and its only scope is `admin`."""

    id: UUID

    @property
    def actor(self) -> str:
        """Who this is in the audit log."""
        return f"key:{self.id}"
