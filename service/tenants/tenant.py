"""Whose rows may be touched: every query on tenants' rows begins at a `Tenant`."""

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


@dataclass(frozen=True, slots=True)
class Key:
    """A key that was checked: whose it is and what it allows."""

    id: UUID
    tenant: Tenant
    scopes: frozenset[str]
