"""What tables hold sealed, in a column of that name: which key it is sealed with, and sealing it anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Table, func, select, update

from service.database.engine import Connection
from service.encryption import UnreadableSecretError, Vault


@dataclass(frozen=True, slots=True)
class Stock:
    """How many secrets are stored; how many of them an old key has sealed; how many cannot be opened."""

    stored: int
    old: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Step:
    """What became of a few secrets; `last` is where to go on, None if there were no more."""

    resealed: int
    unreadable: int
    last: UUID | None


async def examine(connection: Connection, vault: Vault, tables: Sequence[Table]) -> Stock:
    """Look at every one."""
    stored = old = unreadable = 0
    for table in tables:
        query = select(table.c.id, table.c.sealed).where(table.c.sealed.is_not(None))
        for row in await connection.execute(query):
            stored += 1
            old += not row.sealed.startswith(vault.mark)
            unreadable += _opened(vault, row.sealed, row.id) is None
    return Stock(stored, old, unreadable)


async def reseal(
    connection: Connection, vault: Vault, table: Table, *, after: UUID | None, most: int
) -> Step:
    """Seal the next few with the current key, in the order of ids. The caller commits."""
    beginning = func.substring(table.c.sealed, 1, len(vault.mark))
    query = select(table.c.id, table.c.sealed).where(beginning != vault.mark).order_by(table.c.id).limit(most)
    rows = (await connection.execute(query if after is None else query.where(table.c.id > after))).all()
    resealed = unreadable = 0
    for row in rows:
        opened = _opened(vault, row.sealed, row.id)
        if opened is None:
            unreadable += 1
            continue
        # One that was changed meanwhile is sealed with the current key already.
        same = update(table).where(table.c.id == row.id, table.c.sealed == row.sealed)
        written = await connection.execute(
            same.values(sealed=vault.seal(opened, row=row.id)).returning(table.c.id)
        )
        resealed += len(written.all())
    return Step(resealed, unreadable, rows[-1].id if rows else None)


def _opened(vault: Vault, sealed: bytes, row: UUID) -> bytes | None:
    try:
        return vault.open(sealed, row=row)
    except UnreadableSecretError:
        return None
