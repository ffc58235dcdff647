"""`edit-jobs secrets`: what is sealed at rest, and the keys that the service signs with."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import console
from service.cli.tenants import Json

if TYPE_CHECKING:
    from service.database import Connection, Database
    from service.webhooks.service_keys import Published

WEEK = 7 * 86_400

app = typer.Typer(help="Seal stored secrets anew, and rotate the keys that sign.", no_args_is_help=True)


@app.command()
def reencrypt(json: Json = False) -> None:
    """Seal everything that is stored sealed with the first of the keys in EDIT_JOBS_SECRET_KEY.

    Afterwards the other keys are not needed any more. In small steps: it can run beside everything else, be
    interrupted and run again. Exits with 1 if something cannot be opened with any of the keys.
    """
    from service.cli.failures import CommandError
    from service.cli.postgres import on_database
    from service.cli.sealed import reencrypt as seal_anew
    from service.settings import load

    settings = load()
    with console.err.status("Sealing") as status:

        async def work(database: "Database") -> tuple[int, int]:
            return await seal_anew(
                database, settings.vault, progress=lambda done: status.update(f"Sealed {done} anew")
            )

        resealed, unreadable = on_database(settings, work)
    if json:
        console.as_json({"resealed": resealed, "unreadable": unreadable})
    else:
        console.out.print(f"Sealed {resealed} secrets anew; all others were sealed with the current key.")
    if unreadable:
        raise CommandError(f"{unreadable} secrets cannot be opened: add the key that they were sealed with.")


@app.command(name="rotate-signing-key")
def rotate_signing_key(
    grace_seconds: Annotated[
        int, typer.Option(min=0, max=365 * 86_400, help="How long the keys before it sign and are published.")
    ] = WEEK,
    json: Json = False,
) -> None:
    """Make a new Ed25519 key for `v1a` signatures, and publish it at /.well-known/webhook-keys.json.

    The one before goes on signing beside it until the grace is over, so that receivers that have not heard of
    the new one still verify. At most three are in force: a fourth ends the oldest at once.
    """
    from service.cli.postgres import in_transaction
    from service.cli.who import actor
    from service.settings import load
    from service.webhooks import service_keys

    settings = load()

    async def work(connection: "Connection") -> "list[Published]":
        return await service_keys.rotate(
            connection, settings.vault, grace_seconds=grace_seconds, actor=actor()
        )

    in_force = [str(key.id) for key in in_transaction(settings, work)]
    if json:
        console.as_json({"id": in_force[-1], "in_force": in_force})
    else:
        console.facts("Made a new signing key.", {"id": in_force[-1], "in force": ", ".join(in_force)})
