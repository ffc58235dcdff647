"""The role that the API connects as: it sees what row-level security lets it, and owns nothing.

Migrations make the group `edit_jobs_api`, which has the rights. Whom the API logs in as is a member of it.
"""

import base64
import hashlib
import hmac
import os
import re
from typing import Any

import asyncpg
from sqlalchemy import URL, make_url, text

from service.database.engine import Connection, Database
from service.database.locks import API_ROLES

GROUP = "edit_jobs_api"

_IS_WALLED = text("SELECT row_security_active('jobs')")
_IS_MEMBER = text(f"SELECT pg_has_role('{GROUP}', 'USAGE')")
_ITERATIONS = 4096
_WITH_PASSWORD = re.compile(r"PASSWORD '[^']*'")


class NotAdmittedError(Exception):
    """The role cannot be let in by us; `remedy` is the SQL that an administrator has to run."""

    def __init__(self, remedy: str) -> None:
        super().__init__(remedy)
        self.remedy = remedy


async def admit(database_url: str, api_url: str) -> bool:
    """Let the user of `api_url` in: made with its password if there is none of that name, and a member.

    A role that exists keeps its password. False if it is the user of `database_url`, for whom there is no
    wall. Needs the right to make roles, unless there is nothing to do; raises NotAdmittedError without it.
    """
    owner, api = make_url(database_url), make_url(api_url)
    if not api.username or api.username == owner.username:
        return False
    database = Database(database_url, connections=1)
    try:
        async with database.driver() as connection, connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({API_ROLES})")
            if missing := await _statement(connection, api):
                try:
                    await connection.execute(missing)
                except asyncpg.InsufficientPrivilegeError as error:
                    raise NotAdmittedError(_WITH_PASSWORD.sub("PASSWORD '...'", missing)) from error
    finally:
        await database.close()
    return True


async def is_walled(connection: Connection) -> bool:
    """Whether row-level security holds for the role of this connection: for an owner or superuser not."""
    return bool((await connection.execute(_IS_WALLED)).scalar())


async def is_member(connection: Connection) -> bool:
    """Whether the role of this connection may do what the API does."""
    return bool((await connection.execute(_IS_MEMBER)).scalar())


async def _statement(connection: Any, api: URL) -> str:
    """What is missing, as SQL; empty if nothing is."""
    exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", api.username)
    if not exists:
        password = "" if api.password is None else f" PASSWORD '{_verifier(str(api.password))}'"
        form = f"CREATE ROLE %I LOGIN{password} IN ROLE {GROUP}"
    elif await connection.fetchval("SELECT pg_has_role($1, $2, 'MEMBER')", api.username, GROUP):
        return ""
    else:
        form = f"GRANT {GROUP} TO %I"
    return str(await connection.fetchval("SELECT format($1, $2::text)", form, api.username))


def _verifier(password: str) -> str:
    """What Postgres stores of it (RFC 5803): the statement may be logged, and then the password is not."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt64}${stored64}:{server64}"
