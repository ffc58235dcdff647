"""Postgres: one engine per process, transactions that are committed at the edge of a use case.

A statement that is a whole use case runs outside a transaction block (`statement`), which saves two round
trips and says that nothing else belongs to it. The API connects as a role of its own (`api_role`): in
`of_tenant` it sees the rows of one tenant. Workers and commands are the owner. `is_outage` tells faults of
Postgres from faults of ours.
"""

from service.database.driver import Driver, run
from service.database.engine import AnyConnection, Connection, Database
from service.database.migrations import UnknownVersionError, head, migrate, unmigrate, version
from service.database.outage import is_outage

__all__ = [
    "AnyConnection",
    "Connection",
    "Database",
    "Driver",
    "UnknownVersionError",
    "head",
    "is_outage",
    "migrate",
    "run",
    "unmigrate",
    "version",
]
