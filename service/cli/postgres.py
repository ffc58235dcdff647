"""What a command does on Postgres, and what is said when it cannot be reached."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import URL, make_url
from sqlalchemy.exc import DBAPIError

from service.cli.console import out
from service.cli.failures import CommandError
from service.database import Connection, Database, UnknownVersionError, api_role, is_outage
from service.settings import Settings

Result = TypeVar("Result")

# A user or password refused, no such database, no right to do it, and a lock that was waited for in vain.
_REFUSALS = ("28", "3D", "42501", "55P03")
_NO_SUCH_TABLE_OR_COLUMN = ("42P01", "42703")


def on_database(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Do the work, which commits what it does; raises CommandError if Postgres does not let us."""

    async def run() -> Result:
        database = Database(settings.database_url, connections=2)
        try:
            return await work(database)
        finally:
            await database.close()

    with explained(settings.database_url):
        return asyncio.run(run())


def in_transaction(settings: Settings, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    """The same for what is committed as a whole, or none of it."""

    async def run(database: Database) -> Result:
        async with database.transaction() as connection:
            return await work(connection)

    return on_database(settings, run)


def admit(settings: Settings) -> None:
    """Let the API's own role in, if the settings name one; raises CommandError with the SQL if we may not."""
    if not settings.api_database_url:
        return
    role = make_url(settings.api_database_url).username
    with explained(settings.database_url):
        try:
            admitted = asyncio.run(api_role.admit(settings.database_url, settings.api_database_url))
        except api_role.NotAdmittedError as error:
            raise CommandError(
                f"Postgres refuses: {error.__cause__}\n"
                f"So the role {role} is not ready for the API. Let an administrator run:\n  {error.remedy};"
            ) from error
    if admitted:
        out.print(f"The API may connect as {role}.")


@contextmanager
def explained(database_url: str) -> Iterator[None]:
    """Turn what an operator can mend about Postgres into a CommandError that names it."""
    url = make_url(database_url)
    try:
        yield
    except UnknownVersionError as error:
        raise CommandError(f"Postgres at {_place(url)} was migrated by a newer version: {error}") from error
    except Exception as error:
        message = _trouble(error)
        if message is None:
            raise
        raise CommandError(f"Postgres at {_place(url)} {message}") from error


def _trouble(error: Exception) -> str | None:
    reason: BaseException = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        reason = error.orig
    state = getattr(reason, "sqlstate", None) or getattr(reason.__cause__, "sqlstate", None) or ""
    said = next(iter(str(reason).splitlines()), "") or type(reason).__name__
    if state in _NO_SUCH_TABLE_OR_COLUMN:
        return "has not the tables of this version yet: run `edit-jobs migrate` first"
    if state.startswith(_REFUSALS):
        return f"refuses: {said}"
    return f"cannot be reached: {said}" if is_outage(error) else None


def _place(url: URL) -> str:
    """Where it is, without user and password."""
    host = url.host or url.query.get("host") or "localhost"
    return f"{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"
