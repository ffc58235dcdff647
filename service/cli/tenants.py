"""`edit-jobs tenants`: who shares the service, and how much of it each may use."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import console

if TYPE_CHECKING:
    from service.database import Connection

app = typer.Typer(help="Create, list and change tenants.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MaxInFlight = Annotated[
    int | None,
    typer.Option(min=0, max=2**31 - 1, help="Most jobs it may have upstream at once.", show_default="1000"),
]
Weight = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Its share when many wait, beside the others'.", show_default="1"),
]


def printable(name: str) -> str:
    """A name that can be shown and typed."""
    if not name.isprintable():
        raise typer.BadParameter("a name has only characters that can be printed")
    return name


@app.command()
def create(
    name: Annotated[str, typer.Argument(callback=printable, help="What it is called; unique.")],
    max_in_flight: MaxInFlight = None,
    weight: Weight = None,
    json: Json = False,
) -> None:
    """Add a tenant. Its signing secret is printed once."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import store
    from service.webhooks import secrets

    settings, limits = load(), _limits(max_in_flight, weight)

    async def work(connection: "Connection") -> dict[str, str]:
        tenant_id = await store.create(connection, name)
        if limits:
            await store.change(connection, tenant_id, limits=limits)
        secret = await secrets.issue(connection, settings.vault, tenant_id)
        return {"id": str(tenant_id), "name": name, "signing_secret": secret}

    made = in_transaction(settings, work)
    if json:
        console.as_json(made)
        return
    console.facts(
        f"Created tenant {name}.",
        {"id": made["id"], "signing secret": made["signing_secret"]},
        note="The secret verifies webhooks that go to a job's callback_url. It is not shown again.",
    )


@app.command(name="list")
def list_(json: Json = False) -> None:
    """List all tenants, oldest first."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import store

    found = in_transaction(load(), store.every)
    if json:
        console.as_json(
            [
                {
                    "id": tenant.id,
                    "name": tenant.name,
                    "max_in_flight": tenant.max_in_flight,
                    "weight": tenant.weight,
                    "created_at": console.moment(tenant.created_at),
                }
                for tenant in found
            ]
        )
        return
    console.listing(
        ("NAME", "ID", "MAX IN FLIGHT", "WEIGHT", "CREATED"),
        (
            (tenant.name, tenant.id, tenant.max_in_flight, tenant.weight, console.moment(tenant.created_at))
            for tenant in found
        ),
    )


@app.command(name="set")
def set_(
    tenant: Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")],
    max_in_flight: MaxInFlight = None,
    weight: Weight = None,
    json: Json = False,
) -> None:
    """Change a tenant's limits. They hold from the next claim on."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import store

    limits = _limits(max_in_flight, weight)
    if not limits:
        raise typer.BadParameter("give --max-in-flight, --weight or both")

    async def work(connection: "Connection") -> store.TenantRecord:
        found = await store.find(connection, tenant)
        await store.change(connection, found.id, limits=limits)
        return await store.find(connection, str(found.id))

    changed = in_transaction(load(), work)
    shown = {"max_in_flight": changed.max_in_flight, "weight": changed.weight}
    if json:
        console.as_json({"id": changed.id, "name": changed.name, **shown})
        return
    console.facts(f"Changed tenant {changed.name}.", shown)


def _limits(max_in_flight: int | None, weight: int | None) -> dict[str, int]:
    given = {"max_in_flight": max_in_flight, "weight": weight}
    return {name: limit for name, limit in given.items() if limit is not None}
