"""What `edit-jobs doctor` checks. Nothing is changed anywhere, and nothing that is asked costs money."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never
from uuid import uuid4

import httpx
from sqlalchemy import text

from service.cli import console
from service.cli.failures import CommandError
from service.cli.postgres import explained
from service.cli.sealed import TABLES
from service.database import Database, api_role, head, sealed, version
from service.queue import Bell
from service.settings import PREFIX, Settings
from service.tenants import store, tokens
from service.upstream.client import Upstream
from service.upstream.outcomes import (
    Denied,
    Finished,
    Garbled,
    InQueue,
    Missing,
    Running,
    Throttled,
    Unreachable,
)

PATIENCE_SECONDS = 10.0
OLDEST_POSTGRES = 15
"""The first that knows `NULLS NOT DISTINCT`, which the tables use."""

_SERVER = text(
    "SELECT current_setting('server_version'), current_setting('server_version_num'), current_user"
)
_ROLE = text("SELECT current_user")


class Health(StrEnum):
    """How a check came out. Only what is bad keeps the service from working."""

    GOOD = "good"
    ODD = "odd"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do about it."""

    check: str
    health: Health
    found: str
    todo: str = ""

    def document(self) -> dict[str, str | None]:
        """As JSON."""
        return {"check": self.check, "health": self.health, "found": self.found, "todo": self.todo or None}


async def examine(settings: Settings) -> list[Finding]:
    """Make all checks, side by side; the findings are in a fixed order."""
    groups = await asyncio.gather(
        _postgres(settings), _redis(settings), _upstream(settings), _public_url(settings)
    )
    return [finding for group in groups for finding in group]


async def _postgres(settings: Settings) -> list[Finding]:
    places = {"DATABASE_URL": settings.database_url}
    if settings.api_database_url:
        places["API_DATABASE_URL"] = settings.api_database_url
    found = [await _reached(name, url) for name, url in places.items()]
    if found[0].health is Health.BAD:
        return found
    async with _one_connection(settings.database_url) as database:
        schema = await _schema(database)
        found.append(schema)
        if schema.health is not Health.BAD:
            found.append(await _secrets(database, settings))
            found.append(await _account(database))
            if all(one.health is not Health.BAD for one in found):
                found.append(await _api_role(settings))
    return found


async def _reached(name: str, url: str) -> Finding:
    check = "Postgres" if name == "DATABASE_URL" else "Postgres for the API"
    try:
        with explained(url):
            async with _one_connection(url) as database, database.statement() as connection:
                release, number, role = (await connection.execute(_SERVER)).one()
    except CommandError as error:
        return Finding(check, Health.BAD, str(error), f"check {PREFIX}{name}, and that it runs")
    found = f"version {release}, as role {role}"
    if int(number) < OLDEST_POSTGRES * 10_000:
        return Finding(check, Health.BAD, found, f"needs Postgres {OLDEST_POSTGRES} or newer; tested on 18")
    return Finding(check, Health.GOOD, found)


async def _schema(database: Database) -> Finding:
    wanted = head()
    async with database.statement() as connection:
        found = await version(connection)
    if found is None or found < wanted:
        said = f"is {found or 'missing'}, and {wanted} is needed"
        return Finding("schema", Health.BAD, said, "run edit-jobs migrate")
    if found > wanted:
        return Finding("schema", Health.ODD, f"is {found}, newer than this program's {wanted}", "deploy it")
    return Finding("schema", Health.GOOD, f"is {found}")


async def _secrets(database: Database, settings: Settings) -> Finding:
    async with database.statement() as connection:
        found = await sealed.examine(connection, settings.vault, TABLES)
    if found.unreadable:
        return Finding(
            "SECRET_KEY",
            Health.BAD,
            f"does not open {found.unreadable} of {found.stored} stored secrets",
            f"add the key they were sealed with to {PREFIX}SECRET_KEY, after a comma",
        )
    opens = f"opens all {found.stored} stored secrets"
    if found.old:
        todo = "run edit-jobs secrets reencrypt: until then that key is needed"
        return Finding("SECRET_KEY", Health.ODD, f"{opens}, {found.old} of them with an old key", todo)
    return Finding("SECRET_KEY", Health.GOOD, opens)


async def _api_role(settings: Settings) -> Finding:
    check, todo = (
        "second wall",
        f"set {PREFIX}API_DATABASE_URL to a role of its own, then run edit-jobs migrate",
    )
    async with _one_connection(settings.url_for_api) as database, database.statement() as connection:
        role = (await connection.execute(_ROLE)).scalar()
        if not await api_role.is_walled(connection):
            found = f"the API's role {role} owns the tables, or row-level security does not hold for it"
            return Finding(check, Health.ODD, found, todo)
        if not await api_role.is_member(connection):
            found = f"the API's role {role} may not use the tables: it is no member of {api_role.GROUP}"
            return Finding(check, Health.BAD, found, "run edit-jobs migrate")
    return Finding(check, Health.GOOD, f"the API's role {role} sees one tenant at a time")


async def _account(database: Database) -> Finding:
    """What workers have found: only a submit tells whether there is a balance, and it would cost money."""
    async with database.statement() as connection:
        # The platform's first, which most depends on.
        for trouble in sorted(await tokens.troubles(connection), key=lambda one: one.tenant_id is not None):
            owner = trouble.tenant_id and await store.one(connection, trouble.tenant_id)
            whose = f"that of the tenant {owner.name}" if owner else "the platform's"
            since = console.moment(trouble.since)
            found = f"{whose} is turned away since {since}: {trouble.message}"
            todo = "mend it at the upstream: jobs wait, and go on by themselves"
            return Finding("account", Health.BAD, found, todo)
    return Finding("account", Health.GOOD, "no worker reports that the upstream turns it away")


async def _redis(settings: Settings) -> list[Finding]:
    bell = Bell(settings.redis_url)
    reachable = await bell.is_reachable(within=PATIENCE_SECONDS)
    await bell.close()
    if reachable:
        return [Finding("Redis", Health.GOOD, "answers")]
    todo = (
        f"check {PREFIX}REDIS_URL, and that it runs; until then jobs start up to a second later,"
        " and no rate limit holds"
    )
    return [Finding("Redis", Health.BAD, "does not answer", todo)]


async def _upstream(settings: Settings) -> list[Finding]:
    if not settings.upstream_token:
        todo = f"set {PREFIX}UPSTREAM_TOKEN: without it no worker starts"
        return [Finding("upstream", Health.BAD, "there is no token", todo)]
    upstream = Upstream.connect(settings.upstream_url, submit_slots=1, read_slots=1, submit_deadline=1)
    began = time.monotonic()
    try:
        # Nobody has a job of this id: who may ask is told that, and who may not is told so first.
        outcome = await upstream.status(str(uuid4()), token=settings.upstream_token)
    finally:
        await upstream.close()
    took = f"answered after {time.monotonic() - began:.1f} s"
    strange = f"check {PREFIX}UPSTREAM_URL: this is not how the model API answers"
    match outcome:
        case Missing(None):
            told = Health.BAD, "answers 404, without a code of the model API", strange
        case Missing() | InQueue() | Running() | Finished():
            told = Health.GOOD, f"accepts the token, {took}", ""
        case Throttled():
            told = Health.ODD, f"asks to wait, {took}", "ask again in a minute"
        case Denied(message):
            told = Health.BAD, f"turns the token away: {message}", f"check {PREFIX}UPSTREAM_TOKEN"
        case Unreachable(reason):
            todo = f"check {PREFIX}UPSTREAM_URL, and that this machine may call it"
            told = Health.BAD, f"cannot be reached: {reason}", todo
        case Garbled(reason):
            told = Health.BAD, reason, strange
        case _:
            assert_never(outcome)
    return [Finding("upstream", *told)]


async def _public_url(settings: Settings) -> list[Finding]:
    url = settings.public_url
    async with httpx.AsyncClient(timeout=3) as client:
        try:
            healthy = (await client.get(f"{url}/health/live")).json() == {"status": "ok"}
        except (httpx.HTTPError, ValueError):
            healthy = False
    if healthy:
        return [Finding("PUBLIC_URL", Health.GOOD, f"{url} leads to the API")]
    todo = "callers are told URLs that begin with it: start the API, or check it from where they are"
    return [Finding("PUBLIC_URL", Health.ODD, f"{url} does not lead to the API from here", todo)]


@asynccontextmanager
async def _one_connection(url: str) -> AsyncIterator[Database]:
    database = Database(url, connections=1)
    try:
        yield database
    finally:
        await database.close()
