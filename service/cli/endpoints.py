"""`edit-jobs endpoints`: registered endpoints of any tenant, and the levers on them."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from service.cli import console
from service.cli.tenants import Json
from service.cli.who import actor, note

if TYPE_CHECKING:
    from service.database import Database
    from service.queue import Bell
    from service.webhooks.endpoint import Endpoint

app = typer.Typer(help="Look at webhook endpoints of any tenant, and mend them.", no_args_is_help=True)

EndpointId = Annotated[UUID, typer.Argument(metavar="ID", help="The endpoint's id.")]


@app.command(name="list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's; its name or id.")] = None,
    json: Json = False,
) -> None:
    """List endpoints, and how it stands with each."""
    from service.cli.postgres import on_database
    from service.clock import postgres_time
    from service.settings import load
    from service.webhooks import oversight
    from service.webhooks.endpoint import document

    async def work(database: "Database") -> "list[tuple[str, Endpoint]]":
        return await oversight.endpoints(database, tenant=tenant, clock=postgres_time)

    found = on_database(load(), work)
    if json:
        console.as_json([{"tenant": name, "endpoint": document(one)} for name, one in found])
        return
    console.listing(
        ("ID", "TENANT", "MODE", "STATUS", "BREAKER", "PENDING", "HELD", "LAST SUCCESS", "URL"),
        (
            (
                one.id,
                name,
                one.mode,
                f"{one.status} ({one.disabled_reason})" if one.disabled_reason else one.status,
                one.breaker,
                one.pending,
                one.held,
                console.moment(one.succeeded_at),
                one.url,
            )
            for name, one in found
        ),
    )


@app.command(name="test")
def send_test(endpoint_id: EndpointId, json: Json = False) -> None:
    """Send an endpoint a test event now, from this machine, and say what came of it."""
    from service.cli.failures import CommandError
    from service.cli.postgres import on_database
    from service.clock import postgres_time
    from service.settings import load
    from service.telemetry import configure
    from service.webhooks import endpoints, oversight
    from service.webhooks.keychain import Keychain
    from service.webhooks.trial import Trials

    settings = load()
    configure(level="warning", form="console")

    async def work(database: "Database") -> dict[str, Any]:
        tenant = await oversight.owner_of_endpoint(database, endpoint_id)
        endpoint = await endpoints.one(database, tenant, endpoint_id, clock=postgres_time)
        trials = Trials.connect(settings, Keychain(database, settings.vault))
        try:
            return await trials.make(endpoint)
        finally:
            await trials.close()

    with console.err.status("Waiting for its answer"):
        made = on_database(settings, work)
    if json:
        console.as_json(made)
        return
    if not made["delivered"]:
        raise CommandError(f"{made['url']}: {made['error']}, after {made['latency_ms']} ms")
    console.out.print(f"{made['url']} answered {made['status_code']} after {made['latency_ms']} ms.")


@app.command()
def enable(endpoint_id: EndpointId, json: Json = False) -> None:
    """Enable an endpoint that is disabled: what is held for it is sent, a few at once."""
    from service.cli.ringing import ringing
    from service.clock import postgres_time
    from service.webhooks import endpoints, oversight
    from service.webhooks.endpoint import document
    from service.webhooks.forms import Change

    async def work(database: "Database", bell: "Bell") -> "Endpoint":
        tenant = await oversight.owner_of_endpoint(database, endpoint_id)
        return await endpoints.change(
            database,
            tenant,
            endpoint_id,
            Change(enabled=True),
            actor=actor(),
            bell=bell,
            clock=postgres_time,
        )

    endpoint = ringing(work, waiting="Enabling it")
    if json:
        console.as_json(document(endpoint))
    else:
        console.out.print(f"Enabled {endpoint.url}; {endpoint.pending} deliveries are on their way.")


@app.command()
def replay(
    endpoint_id: EndpointId,
    since: Annotated[str, typer.Option(help="Events from this time on, like 2026-01-31T18:00:00Z.")],
    until: Annotated[str | None, typer.Option(help="Events before this time; else up to now.")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="Only what became of them here; can be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Send an endpoint again what it missed: at most 10,000 events of the last 14 days, oldest first."""
    from service.cli.ringing import ringing
    from service.clock import postgres_time
    from service.webhooks import oversight
    from service.webhooks import replay as use_case
    from service.webhooks.forms import read_replay

    given: dict[str, Any] = {"since": since, "until": until} | ({"statuses": status} if status else {})
    window = read_replay(given)

    async def work(database: "Database", bell: "Bell") -> int:
        tenant = await oversight.owner_of_endpoint(database, endpoint_id)
        await note(database, tenant, "endpoint.replay_requested", endpoint_id=str(endpoint_id))
        return await use_case.replay(database, tenant, endpoint_id, window, bell=bell, clock=postgres_time)

    replayed = ringing(work, waiting="Asking for it")
    if json:
        console.as_json({"replayed": replayed})
    else:
        console.out.print(f"{replayed} events are on their way.")
