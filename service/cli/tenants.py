"""`edit-jobs tenants`: who shares the service, and how much of it each may use."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import console
from service.cli.limits import MOST, MaxEndpoints, MaxInFlight, MaxKeys, MaxQueued, RequestsPerSecond, Weight
from service.cli.token import FIRST_PLACES, read_token
from service.cli.who import actor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from service.database import Connection
    from service.tenants.store import TenantRecord

app = typer.Typer(
    help="Create, list and change tenants, and give them an upstream token.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tenant = Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")]


def printable(name: str | None) -> str | None:
    """A name that can be shown and typed."""
    if name is not None and not name.isprintable():
        raise typer.BadParameter("a name has only characters that can be printed")
    return name


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", callback=printable, help="What it is called; unique.")
    ],
    *,
    max_in_flight: MaxInFlight = None,
    max_queued: MaxQueued = None,
    requests_per_second: RequestsPerSecond = None,
    max_endpoints: MaxEndpoints = None,
    max_keys: MaxKeys = None,
    weight: Weight = None,
    json: Json = False,
) -> None:
    """Add a tenant. Its signing secret is printed once.

    What is not given is 1,000 in flight, 100,000 queued, 1,000 requests per second, 20 endpoints, 100 keys
    and a weight of 1; `tenants set` changes it.
    """
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import store
    from service.webhooks import secrets

    settings, limits = load(), _given(locals())

    async def work(connection: "Connection") -> dict[str, str]:
        tenant_id = await store.create(connection, name, limits=limits, actor=actor())
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
        console.as_json([_document(tenant) for tenant in found])
        return
    console.listing(
        ("NAME", "ID", "MAX IN FLIGHT", "WEIGHT", "CREATED", "DISABLED"),
        (
            (
                tenant.name,
                tenant.id,
                tenant.limits.max_in_flight,
                tenant.limits.weight,
                console.moment(tenant.created_at),
                console.moment(tenant.disabled_at),
            )
            for tenant in found
        ),
    )


@app.command()
def show(tenant: Tenant, json: Json = False) -> None:
    """Show a tenant, its limits and what it uses of them."""
    from service.cli.postgres import in_transaction
    from service.jobs.store.in_use import InUse, in_use
    from service.settings import load
    from service.tenants import store

    async def work(connection: "Connection") -> "tuple[TenantRecord, InUse]":
        found = await store.find(connection, tenant)
        return found, await in_use(connection, found.id)

    found, used = in_transaction(load(), work)
    in_use_now = {name: getattr(used, name) for name in InUse.__slots__}
    if json:
        console.as_json(_document(found) | {"in_use": in_use_now})
        return
    facts = _document(found) | {f"{name} now": count for name, count in in_use_now.items()}
    del facts["name"]
    console.facts(
        f"Tenant {found.name}",
        {name.replace("_", " "): value for name, value in facts.items() if value is not None},
    )


@app.command(name="set")
def set_(
    tenant: Tenant,
    *,
    name: Annotated[str | None, typer.Option(callback=printable, help="Another name.")] = None,
    max_in_flight: MaxInFlight = None,
    max_queued: MaxQueued = None,
    requests_per_second: RequestsPerSecond = None,
    max_endpoints: MaxEndpoints = None,
    max_keys: MaxKeys = None,
    weight: Weight = None,
    json: Json = False,
) -> None:
    """Change a tenant's limits or name. Limits hold from the next claim on, for requests within seconds."""
    from service.tenants import store

    limits = _given(locals())
    if not limits and name is None:
        raise typer.BadParameter("give --name or at least one limit, like --max-in-flight or --weight")
    changed = _changed(
        tenant,
        lambda connection, found: store.change(connection, found.id, limits=limits, name=name, actor=actor()),
    )
    shown = {limit: getattr(changed.limits, limit) for limit in store.LIMITS}
    if json:
        console.as_json({"id": changed.id, "name": changed.name, **shown})
        return
    console.facts(f"Changed tenant {changed.name}.", shown)


@app.command()
def disable(tenant: Tenant) -> None:
    """Accept nothing more of a tenant, within seconds. What it has ends, and it can read."""
    from service.tenants import store

    found = _changed(tenant, lambda connection, found: store.disable(connection, found.id, actor=actor()))
    console.out.print(f"Disabled tenant {found.name}.")


@app.command()
def enable(tenant: Tenant) -> None:
    """Accept from a tenant again."""
    from service.tenants import store

    found = _changed(tenant, lambda connection, found: store.enable(connection, found.id, actor=actor()))
    console.out.print(f"Enabled tenant {found.name}.")


@app.command()
def set_token(
    tenant: Tenant,
    max_in_flight: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST,
            help="Most jobs that it may have upstream at once.",
            show_default=f"as with the one before, else {FIRST_PLACES}",
        ),
    ] = None,
) -> None:
    """Give a tenant an upstream token of its own, or another one, read from a prompt or standard input.

    What is under way with the last one is read with the new one.
    """
    from service.settings import load
    from service.tenants import accounts

    vault, token = load().vault, read_token()

    async def entrust(connection: "Connection", found: "TenantRecord") -> None:
        places = max_in_flight or (found.account.max_in_flight if found.account else FIRST_PLACES)
        await accounts.entrust(connection, vault, found.id, token=token, max_in_flight=places, actor=actor())

    found = _changed(tenant, entrust)
    console.out.print(f"Tenant {found.name} has a token of its own. It is sealed, and not shown again.")


@app.command()
def remove_token(tenant: Tenant) -> None:
    """Let a tenant use the platform's token again. Nobody can read on what is under way with its own."""
    from service.tenants import accounts

    found = _changed(tenant, lambda connection, found: accounts.withdraw(connection, found.id, actor=actor()))
    console.out.print(f"Tenant {found.name} uses the platform's token.")


def _changed(tenant: str, change: "Callable[[Connection, TenantRecord], Awaitable[None]]") -> "TenantRecord":
    """The tenant after a change, which is committed."""
    from service.cli.postgres import in_transaction
    from service.settings import load
    from service.tenants import store

    async def work(connection: "Connection") -> "TenantRecord":
        found = await store.find(connection, tenant)
        await change(connection, found)
        return await store.one(connection, found.id)

    return in_transaction(load(), work)


def _given(options: dict[str, Any]) -> dict[str, int]:
    """The limits among a command's options that were given."""
    from service.tenants.store import LIMITS

    return {limit: options[limit] for limit in LIMITS if options[limit] is not None}


def _document(tenant: "TenantRecord") -> dict[str, Any]:
    """As JSON."""
    from service.tenants.store import LIMITS

    own = tenant.account
    return {
        "id": tenant.id,
        "name": tenant.name,
        **{limit: getattr(tenant.limits, limit) for limit in LIMITS},
        "token_max_in_flight": own and own.max_in_flight,
        "token_trouble": own and own.trouble,
        "created_at": console.moment(tenant.created_at),
        "disabled_at": console.moment(tenant.disabled_at),
    }
