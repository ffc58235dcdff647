"""Keys in Postgres: made, listed and revoked, each with its entry in the audit log.

Who calls these decides whose keys they are; of a key only its hash and its beginning are stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, insert, or_, select, update

from service.clock import moment
from service.database import Connection
from service.database.locks import take_named
from service.errors import AlreadyExpiredError, InvalidInputError, LimitReachedError, NotFoundError
from service.ids import uuid7
from service.tenants import audit, keys
from service.tenants.models import KEYS, TENANTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The key that is asked for; `expires_at` None is never."""

    name: str = ""
    mode: keys.Mode = "live"
    scopes: Sequence[str] = field(default=())
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A key as it is listed: never the key itself. An operator's has no tenant."""

    id: UUID
    tenant_id: UUID | None
    tenant: str | None
    name: str
    prefix: str
    mode: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


async def issue(connection: Connection, tenant_id: UUID, wish: Wish, *, actor: str) -> tuple[KeyRecord, str]:
    """Make a key for the tenant, which is there; returns it with its text, which is not seen again.

    Raises InvalidInputError, AlreadyExpiredError, and LimitReachedError when the tenant has as many live
    ones as it may.
    """
    unknown = sorted(set(wish.scopes) - set(keys.SCOPES))
    if unknown or not wish.scopes:
        detail = f"There is no scope {unknown[0]}." if unknown else "A key needs a scope."
        raise InvalidInputError(f"{detail} Scopes are: {', '.join(keys.SCOPES)}.")
    # Two that come at the same moment are not both the last one.
    await take_named(connection, f"api_keys {tenant_id}")
    most, live = (
        await connection.execute(
            select(TENANTS.c.max_keys, select(func.count()).where(*_live(tenant_id)).scalar_subquery()).where(
                TENANTS.c.id == tenant_id
            )
        )
    ).one()
    if live >= most:
        raise LimitReachedError(
            f"The tenant has {live} live keys, and max_keys allows no more.", limit="max_keys"
        )
    return await _add(connection, tenant_id, wish, kind=wish.mode, actor=actor)


async def issue_to_operator(connection: Connection, wish: Wish, *, actor: str) -> tuple[KeyRecord, str]:
    """The same for an operator: a key of no tenant, whose only scope is `admin`."""
    return await _add(connection, None, wish, kind=keys.ADMIN, actor=actor)


async def page(
    connection: Connection, *, reach: ColumnElement[bool], before: UUID | None, limit: int
) -> list[KeyRecord]:
    """The newest keys within reach, of those older than `before`."""
    query = _records().where(reach).order_by(KEYS.c.id.desc()).limit(limit)
    rows = await connection.execute(query if before is None else query.where(KEYS.c.id < before))
    return [KeyRecord(**row._mapping) for row in rows]


async def every(connection: Connection, *, reach: ColumnElement[bool]) -> list[KeyRecord]:
    """All keys within reach, oldest first."""
    rows = await connection.execute(_records().where(reach).order_by(KEYS.c.id))
    return [KeyRecord(**row._mapping) for row in rows]


async def find(connection: Connection, key_id: UUID, *, reach: ColumnElement[bool]) -> KeyRecord:
    """The key, if it is within reach; else raises NotFoundError."""
    row = (await connection.execute(_records().where(KEYS.c.id == key_id, reach))).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no key {key_id}.")
    return KeyRecord(**row._mapping)


async def revoke(connection: Connection, key_id: UUID, *, reach: ColumnElement[bool], actor: str) -> None:
    """End a key, for ever; again is no error. Raises NotFoundError if it is not within reach."""
    found = await find(connection, key_id, reach=reach)
    changed = (
        update(KEYS)
        .where(KEYS.c.id == key_id, KEYS.c.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
    )
    if (await connection.execute(changed)).rowcount:
        data = {"key_id": str(key_id), "name": found.name}
        await audit.record(
            connection, tenant_id=found.tenant_id, actor=actor, action="key.revoked", data=data
        )


def of_tenant(tenant_id: UUID, mode: keys.Mode | None = None) -> ColumnElement[bool]:
    """The keys of a tenant; a test key reaches test keys, and a live one both."""
    own = KEYS.c.tenant_id == tenant_id
    return own & (KEYS.c.mode == mode) if mode == "test" else own


def anybodys() -> ColumnElement[bool]:
    """All keys, for the command line."""
    return KEYS.c.id.is_not(None)


async def _add(
    connection: Connection, tenant_id: UUID | None, wish: Wish, *, kind: Any, actor: str
) -> tuple[KeyRecord, str]:
    if wish.expires_at is not None:
        now = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
        if wish.expires_at <= now:
            raise AlreadyExpiredError("A key has to expire in the future.")
    key_id, key = uuid7(), keys.new(kind)
    scopes = list(dict.fromkeys(wish.scopes)) if tenant_id else [keys.ADMIN]
    await connection.execute(
        insert(KEYS).values(
            id=key_id,
            tenant_id=tenant_id,
            name=wish.name,
            hash=keys.hashed(key),
            prefix=key[: keys.PREFIX_SHOWN],
            mode=wish.mode,
            scopes=scopes,
            expires_at=wish.expires_at,
        )
    )
    made = await find(connection, key_id, reach=anybodys())
    data = {
        "key_id": str(key_id),
        "name": wish.name,
        "mode": wish.mode,
        "scopes": scopes,
        "expires_at": moment(wish.expires_at),
    }
    await audit.record(connection, tenant_id=tenant_id, actor=actor, action="key.created", data=data)
    return made, key


def _live(tenant_id: UUID) -> tuple[ColumnElement[bool], ...]:
    unexpired = or_(KEYS.c.expires_at.is_(None), KEYS.c.expires_at > func.clock_timestamp())
    return KEYS.c.tenant_id == tenant_id, KEYS.c.revoked_at.is_(None), unexpired


def _records() -> Select[Any]:
    columns = (
        KEYS.c.name,
        KEYS.c.prefix,
        KEYS.c.mode,
        KEYS.c.scopes,
        KEYS.c.created_at,
        KEYS.c.expires_at,
    )
    return select(
        KEYS.c.id,
        KEYS.c.tenant_id,
        TENANTS.c.name.label("tenant"),
        *columns,
        KEYS.c.last_used_at,
        KEYS.c.revoked_at,
    ).outerjoin(TENANTS, TENANTS.c.id == KEYS.c.tenant_id)
