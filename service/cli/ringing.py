"""Work that workers are to hear of at once."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

from typing import TYPE_CHECKING, TypeVar

from service.cli import console

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.database import Database
    from service.queue import Bell

Result = TypeVar("Result")


def ringing(work: "Callable[[Database, Bell], Awaitable[Result]]", *, waiting: str) -> Result:
    """Do it with a bell to ring, and say what is waited for if somebody watches."""
    from service.cli.postgres import on_database
    from service.queue import Bell
    from service.settings import load
    from service.telemetry import configure

    settings = load()
    # What a use case logs goes to standard error, and only if it is worth an operator's attention.
    configure(level="warning", form="console")

    async def run(database: "Database") -> Result:
        bell = Bell(settings.redis_url)
        try:
            return await work(database, bell)
        finally:
            await bell.close()

    with console.err.status(waiting):
        return on_database(settings, run)
