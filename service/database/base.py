"""What all tables share: one metadata, names for constraints, and the column types used here."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, MetaData, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Id = Annotated[UUID, mapped_column(PG_UUID(as_uuid=True), primary_key=True)]
Moment = Annotated[datetime, mapped_column(TIMESTAMP(timezone=True))]
CreatedAt = Annotated[
    datetime, mapped_column(TIMESTAMP(timezone=True), server_default=text("clock_timestamp()"))
]


class Base(DeclarativeBase):
    """The models: for tables, migrations and Core statements; no session is ever made of them."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: TIMESTAMP(timezone=True),
        UUID: PG_UUID(as_uuid=True),
    }


NOW = "coalesce(CAST(:now AS timestamptz), clock_timestamp())"
"""The time that due times are compared with: Postgres's, or a test's."""


def quoted(words: Iterable[StrEnum | str]) -> str:
    """The words as an SQL list, in a fixed order: `'a', 'b'`."""
    return ", ".join(f"'{word}'" for word in words)


def one_of(column: str, words: Iterable[StrEnum | str]) -> CheckConstraint:
    """A CHECK that the column holds one of these words (text, not an enum: it stays leakproof)."""
    return CheckConstraint(f"{column} IN ({quoted(words)})", name=column)
