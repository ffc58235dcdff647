"""Tenants in Postgres, each change with its entry in the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from service.database import Connection
from service.errors import Fault, InvalidInputError, NameTakenError, NotFoundError
from service.ids import uuid7
from service.tenants import audit
from service.tenants.models import TENANTS, TOKENS
from service.tenants.tenant import Limits

NAME_LENGTH = 100
MOST = 2**31 - 1
LIMITS: Mapping[str, tuple[int, int]] = {
    "max_in_flight": (0, MOST),
    "max_queued": (0, MOST),
    "requests_per_second": (1, MOST),
    "max_endpoints": (0, MOST),
    "max_keys": (0, MOST),
    "weight": (1, 1000),
}
"""The least and the most that each can be; CHECK constraints hold the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAccount:
    """A tenant's own account with the upstream; its token is never shown."""

    max_in_flight: int
    trouble: str | None
    trouble_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRecord:
    """A tenant as an operator sees it; without an account of its own it uses the platform's."""

    id: UUID
    name: str
    limits: Limits
    account: OwnAccount | None
    created_at: datetime
    disabled_at: datetime | None


async def create(
    connection: Connection,
    name: str,
    *,
    tenant_id: UUID | None = None,
    limits: Mapping[str, int] | None = None,
    actor: str,
) -> UUID:
    """Add a tenant, with usual limits where none are given.

    Raises NameTakenError, and InvalidInputError for what is no name or a limit out of its range.
    """
    _check(name, limits or {})
    tenant_id = tenant_id or uuid7()
    try:
        await connection.execute(insert(TENANTS).values(id=tenant_id, name=name, **(limits or {})))
    except IntegrityError:
        raise _taken(name) from None
    data = {"name": name, **(limits or {})}
    await audit.record(connection, tenant_id=tenant_id, actor=actor, action="tenant.created", data=data)
    return tenant_id


async def find(connection: Connection, name_or_id: str) -> TenantRecord:
    """The tenant of that name or id; raises NotFoundError."""
    rows = await connection.execute(_records().where(_named(name_or_id)).order_by(TENANTS.c.id))
    row = rows.first()  # a name may look like another tenant's id
    if row is None:
        raise NotFoundError(f"There is no tenant {name_or_id}.")
    return _record(row)


async def one(connection: Connection, tenant_id: UUID) -> TenantRecord:
    """The tenant of that id; raises NotFoundError."""
    row = (await connection.execute(_records().where(TENANTS.c.id == tenant_id))).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no tenant {tenant_id}.")
    return _record(row)


async def every(connection: Connection) -> list[TenantRecord]:
    """All tenants, oldest first."""
    return [_record(row) for row in await connection.execute(_records().order_by(TENANTS.c.id))]


async def page(connection: Connection, *, before: UUID | None, limit: int) -> list[TenantRecord]:
    """The newest tenants, of those older than `before`."""
    query = _records().order_by(TENANTS.c.id.desc()).limit(limit)
    rows = await connection.execute(query if before is None else query.where(TENANTS.c.id < before))
    return [_record(row) for row in rows]


async def change(
    connection: Connection,
    tenant_id: UUID,
    *,
    limits: Mapping[str, int],
    name: str | None = None,
    actor: str,
) -> None:
    """Set the named limits, and the name if one is given. Raises as `create` does, and NotFoundError."""
    _check(name, limits)
    values = {**limits, **({} if name is None else {"name": name})}
    if not values:
        return
    try:
        changed = await connection.execute(update(TENANTS).where(TENANTS.c.id == tenant_id).values(**values))
    except IntegrityError:
        raise _taken(name or "") from None
    if not changed.rowcount:
        raise NotFoundError(f"There is no tenant {tenant_id}.")
    await audit.record(connection, tenant_id=tenant_id, actor=actor, action="tenant.changed", data=values)


async def disable(connection: Connection, tenant_id: UUID, *, actor: str) -> None:
    """Accept nothing more of it, within seconds everywhere; what runs ends. Again is no error."""
    await _switch(connection, tenant_id, func.clock_timestamp(), actor=actor, action="tenant.disabled")


async def enable(connection: Connection, tenant_id: UUID, *, actor: str) -> None:
    """Accept from it again. Again is no error."""
    await _switch(connection, tenant_id, None, actor=actor, action="tenant.enabled")


async def _switch(connection: Connection, tenant_id: UUID, at: Any, *, actor: str, action: str) -> None:
    is_to_change = TENANTS.c.disabled_at.is_not(None) if at is None else TENANTS.c.disabled_at.is_(None)
    changed = update(TENANTS).where(TENANTS.c.id == tenant_id, is_to_change).values(disabled_at=at)
    if (await connection.execute(changed)).rowcount:
        await audit.record(connection, tenant_id=tenant_id, actor=actor, action=action)


def _check(name: str | None, limits: Mapping[str, int]) -> None:
    faults = []
    if name is not None and not (0 < len(name) <= NAME_LENGTH and name == name.strip()):
        faults.append(Fault("/name", f"must have 1 to {NAME_LENGTH} characters, and no blank at its ends"))
    for limit, value in limits.items():
        least, most = LIMITS[limit]
        if not least <= value <= most:
            faults.append(Fault(f"/limits/{limit}", f"must be {least} to {most:,}, not {value:,}"))
    if faults:
        raise InvalidInputError("This is not possible for a tenant.", faults=faults)


def _taken(name: str) -> NameTakenError:
    return NameTakenError(f"There is a tenant named {name} already.")


def _records() -> Select[Any]:
    own = TOKENS.c
    return select(
        *(TENANTS.c.id, TENANTS.c.name, TENANTS.c.created_at, TENANTS.c.disabled_at),
        *(TENANTS.c[limit] for limit in LIMITS),
        own.max_in_flight.label("account"),
        own.trouble,
        own.trouble_since,
    ).outerjoin(TOKENS, own.tenant_id == TENANTS.c.id)


def _record(row: Any) -> TenantRecord:
    account = None
    if row.account is not None:
        account = OwnAccount(max_in_flight=row.account, trouble=row.trouble, trouble_since=row.trouble_since)
    return TenantRecord(
        id=row.id,
        name=row.name,
        limits=Limits(**{limit: getattr(row, limit) for limit in LIMITS}),
        account=account,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


def _named(name_or_id: str) -> ColumnElement[bool]:
    try:
        return or_(TENANTS.c.id == UUID(name_or_id), TENANTS.c.name == name_or_id)
    except ValueError:
        return TENANTS.c.name == name_or_id
