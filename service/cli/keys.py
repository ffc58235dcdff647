"""`edit-jobs keys`: what callers authenticate with."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from service.cli import console
from service.cli.tenants import Json, printable
from service.cli.who import actor
from service.tenants.keys import SCOPES

if TYPE_CHECKING:
    from service.database import Connection
    from service.tenants.issuing import KeyRecord

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)

DEFAULT_SCOPES = ["jobs:read", "jobs:write"]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@app.command()
def create(
    tenant: Annotated[
        str | None, typer.Argument(metavar="TENANT", help="Its name or id; none for an operator.")
    ] = None,
    *,
    name: Annotated[str, typer.Option(callback=printable, help="What it is for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What it allows, any of {' '.join(SCOPES)}; can be repeated.",
            show_default=" ".join(DEFAULT_SCOPES),
        ),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Its jobs run on the scripted upstream.")] = False,
    admin: Annotated[bool, typer.Option("--admin", help="For an operator: of no tenant.")] = False,
    expires_in: Annotated[
        str | None, typer.Option(metavar="TIME", help="For so long it works, like 90d, 12h, 30m, 45s.")
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Until then it works, like 2026-01-31T18:00:00Z.")
    ] = None,
    json: Json = False,
) -> None:
    """Make an API key for a tenant or, with --admin, for an operator. It is printed once."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import issuing, store

    if admin == (tenant is not None):
        raise typer.BadParameter("name the tenant, or give --admin for a key that has none")
    if admin and (scope or test):
        raise typer.BadParameter("an operator's key has no scope but admin, and no mode")
    scopes = list(dict.fromkeys(scope or DEFAULT_SCOPES))
    wish = issuing.Wish(
        name=name,
        mode="test" if test else "live",
        scopes=scopes,
        expires_at=_end(expires_in, expires_at),
    )

    async def work(connection: "Connection") -> dict[str, Any]:
        if tenant is None:
            made, key = await issuing.issue_to_operator(connection, wish, actor=actor())
        else:
            owner = await store.find(connection, tenant)
            made, key = await issuing.issue(connection, owner.id, wish, actor=actor())
        return {
            "id": str(made.id),
            "key": key,
            "tenant": made.tenant,
            "mode": made.mode,
            "scopes": made.scopes,
        }

    made = in_transaction(load(), work)
    if json:
        console.as_json(made)
        return
    facts = {"id": made["id"], "key": made["key"], "scopes": " ".join(made["scopes"])}
    console.facts(
        f"Created a {'test ' if test else ''}key for {made['tenant'] or 'an operator'}.",
        facts | ({"expires": console.moment(wish.expires_at)} if wish.expires_at else {}),
        note="Only its hash is stored: it is not shown again.",
    )


@app.command(name="list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's; its name or id.")] = None,
    json: Json = False,
) -> None:
    """List keys, oldest first: of each only the beginning is known."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import issuing, store

    async def work(connection: "Connection") -> "list[KeyRecord]":
        if tenant is None:
            return await issuing.every(connection, reach=issuing.anybodys())
        owner = await store.find(connection, tenant)
        return await issuing.every(connection, reach=issuing.of_tenant(owner.id))

    found = in_transaction(load(), work)
    if json:
        console.as_json(
            [
                {
                    "id": key.id,
                    "tenant": key.tenant,
                    "name": key.name,
                    "prefix": key.prefix,
                    "mode": key.mode,
                    "scopes": key.scopes,
                    "created_at": console.moment(key.created_at),
                    "expires_at": console.moment(key.expires_at),
                    "last_used_at": console.moment(key.last_used_at),
                    "revoked_at": console.moment(key.revoked_at),
                }
                for key in found
            ]
        )
        return
    console.listing(
        ("ID", "TENANT", "NAME", "KEY", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "REVOKED"),
        (
            (
                key.id,
                key.tenant or "(operator)",
                key.name,
                f"{key.prefix}…",
                " ".join(key.scopes),
                console.moment(key.created_at),
                console.moment(key.expires_at),
                console.moment(key.last_used_at),
                console.moment(key.revoked_at),
            )
            for key in found
        ),
    )


@app.command()
def revoke(
    key_id: Annotated[UUID, typer.Argument(metavar="ID", help="The key's id, from the list.")],
) -> None:
    """End a key for ever. It stops working everywhere within seconds."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import issuing

    async def work(connection: "Connection") -> None:
        await issuing.revoke(connection, key_id, reach=issuing.anybodys(), actor=actor())

    in_transaction(load(), work)
    console.out.print(f"Revoked key {key_id}.")


def _end(expires_in: str | None, expires_at: str | None) -> datetime | None:
    from service.clock import read_moment

    if expires_in is not None and expires_at is not None:
        raise typer.BadParameter("give --expires-in or --expires-at, not both")
    if expires_in is not None:
        found = re.fullmatch(r"([1-9]\d{0,8})([smhd])", expires_in)
        if not found:
            raise typer.BadParameter(f"{expires_in!r} is not a time like 90d, 12h, 30m or 45s")
        try:
            return datetime.now(UTC) + timedelta(**{_UNITS[found[2]]: int(found[1])})
        except OverflowError:
            raise typer.BadParameter(f"{expires_in!r} is longer than calendars reach") from None
    if expires_at is None:
        return None
    end = read_moment(expires_at)
    if end is None:
        raise typer.BadParameter(f"{expires_at!r} is not a time like 2026-01-31T18:00:00Z")
    return end
