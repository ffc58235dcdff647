"""Which failures mean that Postgres is away, closed, full or overloaded: to wait for, not bugs to report."""

import asyncio

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# Connection lost, nobody let in (a password is being changed, a database restored), out of resources (53100
# is a full disk), operator intervention, system error, and what asks for the same again: serialization
# failure, deadlock, a lock that was not to be had, a transaction that was ended for its idleness, a server
# that is not the primary any more.
_CLASSES = ("08", "28", "3D", "53", "57", "58")
_STATES = ("40001", "40P01", "55P03", "25P03", "25006")


def is_outage(error: BaseException) -> bool:
    """Whether the same thing may be tried again when Postgres is well."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or _of_driver(error.orig)
    return isinstance(error, PoolTimeoutError) or _of_driver(error)


def _of_driver(error: BaseException | None) -> bool:
    if isinstance(error, (OSError, asyncio.TimeoutError)) or _passes(error):
        return True
    # asyncpg's InterfaceError for a connection that went away under it has no SQLSTATE.
    return type(error).__name__ in ("InterfaceError", "InternalClientError", "ConnectionDoesNotExistError")


def _passes(error: BaseException | None) -> bool:
    state = getattr(error, "sqlstate", None) or ""
    return state in _STATES or state.startswith(_CLASSES)
