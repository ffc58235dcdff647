"""The schema's versions: `migrations/` beside this package, run by alembic.

alembic is imported where it is used: most processes never migrate, and it is a fifth of their start.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parents[2] / "migrations"

_HAS_VERSION = text("SELECT to_regclass('alembic_version') IS NOT NULL")
_VERSION = text("SELECT version_num FROM alembic_version")


class UnknownVersionError(Exception):
    """The database is at a version that this code does not know: a newer one migrated it."""


def migrate(url: str) -> None:
    """Bring the database to the newest version; several at once wait for each other.

    Raises UnknownVersionError.
    """
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(_config(url), "head")
    except CommandError as error:
        raise UnknownVersionError(str(error)) from error


def unmigrate(url: str) -> None:
    """Take every version back: an empty database again."""
    from alembic import command  # noqa: PLC0415

    command.downgrade(_config(url), "base")


@cache
def head() -> str:
    """The version that this code was written for."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    version = ScriptDirectory(str(FOLDER)).get_current_head()
    assert version is not None, "there is no migration"
    return version


async def version(connection: AsyncConnection) -> str | None:
    """The version that the database is at; None where nothing was migrated yet."""
    if not (await connection.execute(_HAS_VERSION)).scalar():
        return None
    found: str | None = (await connection.execute(_VERSION)).scalar()
    return found


def _config(url: str) -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"url": url})
    config.set_main_option("script_location", str(FOLDER))
    return config
