"""The schema's versions: `migrations/` beside this package, run by alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

FOLDER = Path(__file__).parents[2] / "migrations"


def migrate(url: str) -> None:
    """Bring the database to the newest version; several at once wait for each other."""
    command.upgrade(_config(url), "head")


def unmigrate(url: str) -> None:
    """Take every version back: an empty database again."""
    command.downgrade(_config(url), "base")


def head() -> str:
    """The version that this code was written for."""
    version = ScriptDirectory(str(FOLDER)).get_current_head()
    assert version is not None, "there is no migration"
    return version


def _config(url: str) -> Config:
    config = Config(attributes={"url": url})
    config.set_main_option("script_location", str(FOLDER))
    return config
