"""`edit-jobs deliveries`: for the operator on call, who may look at any tenant's webhooks."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from service.cli import console
from service.cli.tenants import Json
from service.cli.who import note

if TYPE_CHECKING:
    from service.database import Database
    from service.queue import Bell
    from service.webhooks.log import Delivery, Tried

app = typer.Typer(help="Look at webhooks of any tenant, and send them again.", no_args_is_help=True)

DeliveryId = Annotated[UUID, typer.Argument(metavar="ID", help="The delivery's id.")]


@app.command(name="list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's; its name or id.")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="Only those in this state; can be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """List deliveries, newest first."""
    from service.cli.postgres import on_database
    from service.settings import load
    from service.webhooks import log, oversight
    from service.webhooks.models import DELIVERY_STATUSES

    statuses = list(dict.fromkeys(status or ()))
    if unknown := [word for word in statuses if word not in DELIVERY_STATUSES]:
        raise typer.BadParameter(f"{unknown[0]} is no state; states are: {', '.join(DELIVERY_STATUSES)}")

    async def work(database: "Database") -> "list[tuple[str, Delivery]]":
        return await oversight.newest(database, tenant=tenant, statuses=statuses, limit=limit)

    found = on_database(load(), work)
    if json:
        console.as_json([{"tenant": name, "delivery": log.document(one)} for name, one in found])
        return
    console.listing(
        ("ID", "TENANT", "STATUS", "TYPE", "CREATED", "ATTEMPTS", "REASON", "URL"),
        (
            (
                one.id,
                name,
                one.status,
                one.type,
                console.moment(one.created_at),
                one.attempts,
                one.reason,
                one.url,
            )
            for name, one in found
        ),
    )


@app.command()
def show(delivery_id: DeliveryId, json: Json = False) -> None:
    """Show a delivery with every attempt, and what the receiver said."""
    from service.cli.postgres import on_database
    from service.settings import load
    from service.webhooks import log, oversight

    async def work(database: "Database") -> "tuple[Delivery, list[Tried]]":
        return await log.one(database, await oversight.owner_of_delivery(database, delivery_id), delivery_id)

    delivery, tried = on_database(load(), work)
    if json:
        console.as_json(log.document(delivery) | {"attempts": [log.attempt(one) for one in tried]})
        return
    shown = {name.replace("_", " "): value for name, value in log.document(delivery).items()}
    console.facts(
        f"{delivery.type} to {delivery.url}: {delivery.status}",
        {name: value for name, value in shown.items() if value is not None},
    )
    console.out.print("\nAttempts" if tried else "\nNo attempts", style="bold")
    console.listing(
        ("", "AT", "STATUS", "MS", "ERROR", "ANSWER"),
        (
            (
                one.number,
                console.moment(one.at),
                one.status_code,
                one.latency_ms,
                one.error,
                # On one line, with nothing in it that a terminal would obey.
                ascii(one.response.decode(errors="replace"))[1:-1],
            )
            for one in tried
        ),
    )


@app.command()
def redeliver(delivery_id: DeliveryId, json: Json = False) -> None:
    """Send a delivery once more: the same bytes and id, with a fresh signature."""
    from service.cli.ringing import ringing
    from service.clock import postgres_time
    from service.webhooks import log, oversight, replay

    async def work(database: "Database", bell: "Bell") -> "Delivery":
        tenant = await oversight.owner_of_delivery(database, delivery_id)
        await note(database, tenant, "delivery.redelivery_requested", delivery_id=str(delivery_id))
        return await replay.redeliver(database, tenant, delivery_id, bell=bell, clock=postgres_time)

    delivery = ringing(work, waiting="Asking for it")
    if json:
        console.as_json(log.document(delivery))
    else:
        console.out.print(f"{delivery_id} is sent to {delivery.url} once more.")
