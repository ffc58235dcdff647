"""`edit-jobs keys`: what callers authenticate with."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from service.cli import console
from service.cli.tenants import Json, printable

if TYPE_CHECKING:
    from service.database import Connection

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)

DEFAULT_SCOPES = ["jobs:read", "jobs:write"]


@app.command()
def create(
    tenant: Annotated[str, typer.Argument(help="The tenant's name or id.")],
    name: Annotated[str, typer.Option(callback=printable, help="What it is for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it allows; can be repeated.", show_default=" ".join(DEFAULT_SCOPES)),
    ] = None,
    json: Json = False,
) -> None:
    """Make an API key for a tenant. It is printed once."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import store

    scopes = list(dict.fromkeys(scope or DEFAULT_SCOPES))

    async def work(connection: "Connection") -> dict[str, object]:
        owner = await store.find(connection, tenant)
        key_id, key = await store.add_key(connection, owner.id, name=name, mode="live", scopes=scopes)
        return {"id": str(key_id), "key": key, "tenant": owner.name, "mode": "live", "scopes": scopes}

    made = in_transaction(load(), work)
    if json:
        console.as_json(made)
        return
    console.facts(
        f"Created a key for {made['tenant']}.",
        {"id": made["id"], "key": made["key"], "scopes": " ".join(scopes)},
        note="Only its hash is stored: it is not shown again.",
    )


@app.command(name="list")
def list_(json: Json = False) -> None:
    """List all keys, oldest first: of each only the beginning is known."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import store

    found = in_transaction(load(), store.every_key)
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
                    "revoked_at": console.moment(key.revoked_at),
                }
                for key in found
            ]
        )
        return
    console.listing(
        ("ID", "TENANT", "NAME", "KEY", "SCOPES", "CREATED", "EXPIRES", "REVOKED"),
        (
            (
                key.id,
                key.tenant,
                key.name,
                f"{key.prefix}…",
                " ".join(key.scopes),
                console.moment(key.created_at),
                console.moment(key.expires_at),
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
    from service.tenants import store

    async def work(connection: "Connection") -> None:
        await store.revoke_key(connection, key_id)

    in_transaction(load(), work)
    console.out.print(f"Revoked key {key_id}.")
