"""Tenants and keys in Postgres."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from service.database import Connection
from service.errors import Fault, InvalidInputError, NotFoundError
from service.ids import uuid7
from service.tenants import keys
from service.tenants.models import ApiKeyRow, TenantRow

TENANTS = cast("Table", TenantRow.__table__)
KEYS = cast("Table", ApiKeyRow.__table__)

NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant as an operator sees it."""

    id: UUID
    name: str
    weight: int
    max_in_flight: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is listed: never the key itself."""

    id: UUID
    tenant: str
    name: str
    prefix: str
    mode: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def create(connection: Connection, name: str) -> UUID:
    """Add a tenant; InvalidInputError if the name is taken or no name."""
    if not 0 < len(name.strip()) <= NAME_LENGTH:
        raise InvalidInputError(
            "This is not a name for a tenant.",
            faults=[Fault("/name", f"must have 1 to {NAME_LENGTH} characters")],
        )
    tenant_id = uuid7()
    try:
        await connection.execute(insert(TENANTS).values(id=tenant_id, name=name))
    except IntegrityError:
        raise InvalidInputError(
            f"There is a tenant named {name} already.", faults=[Fault("/name", "is taken")]
        ) from None
    return tenant_id


async def find(connection: Connection, name_or_id: str) -> TenantRecord:
    """The tenant of that name or id; raises NotFoundError."""
    rows = await connection.execute(_records().where(_named(name_or_id)).order_by(TENANTS.c.id))
    row = rows.first()  # a name may look like another tenant's id
    if row is None:
        raise NotFoundError(f"There is no tenant {name_or_id}.")
    return TenantRecord(**row._mapping)


async def every(connection: Connection) -> list[TenantRecord]:
    """All tenants, oldest first."""
    rows = await connection.execute(_records().order_by(TENANTS.c.id))
    return [TenantRecord(**row._mapping) for row in rows]


async def change(connection: Connection, tenant_id: UUID, *, limits: dict[str, int]) -> None:
    """Set the named limits (`max_in_flight`, `weight`); InvalidInputError for one out of its range."""
    try:
        await connection.execute(update(TENANTS).where(TENANTS.c.id == tenant_id).values(**limits))
    except IntegrityError:
        raise InvalidInputError("max_in_flight is 0 or more, weight 1 to 1,000.") from None


async def add_key(
    connection: Connection, tenant_id: UUID, *, name: str, mode: keys.Mode, scopes: list[str]
) -> tuple[UUID, str]:
    """Make a key; returns its id and the key itself, which is not seen again."""
    unknown = sorted(set(scopes) - set(keys.SCOPES))
    if unknown or not scopes:
        detail = f"There is no scope {unknown[0]}." if unknown else "A key needs a scope."
        raise InvalidInputError(f"{detail} Scopes are: {', '.join(keys.SCOPES)}.")
    key_id, key = uuid7(), keys.new(mode)
    await connection.execute(
        insert(KEYS).values(
            id=key_id,
            tenant_id=tenant_id,
            name=name,
            hash=keys.hashed(key),
            prefix=key[: keys.PREFIX_SHOWN],
            mode=mode,
            scopes=scopes,
        )
    )
    return key_id, key


async def every_key(connection: Connection) -> list[KeyRecord]:
    """All keys, oldest first."""
    rows = await connection.execute(
        select(
            KEYS.c.id, TENANTS.c.name.label("tenant"), KEYS.c.name, KEYS.c.prefix, KEYS.c.mode, KEYS.c.scopes,
            KEYS.c.created_at, KEYS.c.expires_at, KEYS.c.revoked_at,
        ).join(TENANTS, TENANTS.c.id == KEYS.c.tenant_id).order_by(KEYS.c.id)
    )  # fmt: skip
    return [KeyRecord(**row._mapping) for row in rows]


async def revoke_key(connection: Connection, key_id: UUID) -> None:
    """End a key, for ever; again is no error. Raises NotFoundError."""
    rows = await connection.execute(
        update(KEYS)
        .where(KEYS.c.id == key_id)
        .values(revoked_at=func.coalesce(KEYS.c.revoked_at, func.clock_timestamp()))
        .returning(KEYS.c.id)
    )
    if rows.one_or_none() is None:
        raise NotFoundError(f"There is no key {key_id}.")


def _records() -> Select[tuple[UUID, str, int, int, datetime]]:
    return select(
        TENANTS.c.id, TENANTS.c.name, TENANTS.c.weight, TENANTS.c.max_in_flight, TENANTS.c.created_at
    )


def _named(name_or_id: str) -> ColumnElement[bool]:
    try:
        return or_(TENANTS.c.id == UUID(name_or_id), TENANTS.c.name == name_or_id)
    except ValueError:
        return TENANTS.c.name == name_or_id
