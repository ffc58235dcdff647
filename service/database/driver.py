"""Asyncpg's own connection under the part of SQLAlchemy's interface that the statements of every job use.

The way through SQLAlchemy's engine takes more CPU than such a statement takes in Postgres. Texts and names of
parameters stay SQLAlchemy's, so a statement runs on either.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import TextualSelect

_DIALECT: Any = asyncpg.dialect()  # type: ignore[no-untyped-call]


class Rows(list[Any]):
    """What came back; a row is asyncpg's record, whose values are in the order of the columns."""

    def all(self) -> "Rows":
        return self

    def one_or_none(self) -> Any:
        """The only row; ValueError if there are more."""
        if not self:
            return None
        (row,) = self
        return row


class Driver:
    """A connection of asyncpg's. If it `begins` a transaction, it does with its first statement."""

    __slots__ = ("_begins", "_connection")

    def __init__(self, connection: Any, *, begins: bool = False) -> None:
        self._connection = connection
        self._begins = begins

    async def execute(self, statement: TextClause | TextualSelect, given: Mapping[str, Any]) -> Rows:
        """Run a statement that is a constant of its module: each is compiled once and kept for ever."""
        if self._begins:
            await self.run("")
        sql, names = _compiled(statement)
        return Rows(await self._connection.fetch(sql, *[given[name] for name in names]))

    async def run(self, sql: str) -> None:
        """Run a statement without parameters and answer; as the first one in the same round trip as BEGIN."""
        begin, self._begins = "BEGIN;" if self._begins else "", False
        await self._connection.execute(begin + sql)

    async def end(self, how: str) -> None:
        """COMMIT or ROLLBACK what it has begun, if there is still somebody to tell."""
        if not (self._begins or self._connection.is_closed()):
            await self._connection.execute(how)


async def run(connection: AsyncConnection | Driver, sql: str) -> None:
    """Run a statement without parameters and answer."""
    if isinstance(connection, Driver):
        await connection.run(sql)
    else:
        await connection.exec_driver_sql(sql)


@cache
def _compiled(statement: TextClause | TextualSelect) -> tuple[str, tuple[str, ...]]:
    """With `$1` for parameters, and what they are called in that order."""
    compiled = statement.compile(dialect=_DIALECT)
    return str(compiled), tuple(compiled.positiontup or ())
