"""The commands, and what `--help` says about them."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

from typing import Annotated

import typer

from service import __version__
from service.cli import console, deliveries, endpoints, jobs, keys, secrets, tenants
from service.cli.failures import Commands

app = typer.Typer(
    cls=Commands,
    help="Image edit jobs for backends: accepted over REST, kept in Postgres, told by signed webhooks.",
    epilog="Settings come from the environment (EDIT_JOBS_…) and from a file .env.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # paragraphs flow to the width of the terminal
    # A traceback is for a bug of ours; typer's would print local variables, and with them secrets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Host = Annotated[str, typer.Option(help="The address to listen on.")]

TRY = "Try it, with nothing but this package"
RUN = "Run it"
LOOK_AFTER = "Look after it"


def _version(wanted: bool) -> None:
    if wanted:
        console.out.print(f"edit-jobs {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=TRY)
def demo() -> None:
    """Run one edit job end to end on this machine, and show what happens as it happens.

    Starts Postgres, Redis, the API, a worker, a simulated upstream and a webhook receiver in a temporary
    folder, sends one job, verifies its webhook, saves the pictures before and after under .edit-jobs/demo,
    and removes all the rest. Nothing has to be set.
    """
    from service.cli.demo import run

    run()


@app.command(rich_help_panel=TRY)
def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the API.")] = 8000,
) -> None:
    """Run the whole service on this machine until Ctrl-C, and say what to try.

    The same parts as in the demo. Data, logs and a ready key are kept in .edit-jobs/dev for the next time;
    a part that dies is started again. Nothing has to be set.
    """
    from service.cli.dev import run

    run(port=port)


@app.command(rich_help_panel=RUN)
def api(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 lets the system choose.")] = 8000,
    processes: Annotated[int, typer.Option(min=1, help="So many processes share the port.")] = 1,
) -> None:
    """Serve the HTTP API."""
    from service.api.server import run
    from service.cli.ports import make_sure_free
    from service.settings import SettingsOfApi, load
    from service.telemetry import configure

    settings = load(SettingsOfApi)
    make_sure_free(host, port)
    configure(level=settings.log_level, form=settings.log_format)
    run(settings, host=host, port=port, processes=processes)


@app.command(rich_help_panel=RUN)
def worker() -> None:
    """Work on jobs and deliver webhooks. Any number of workers share the work."""
    from service.cli.ports import make_sure_free
    from service.settings import PREFIX, load_for_worker
    from service.telemetry import configure

    settings = load_for_worker()
    if settings.metrics_port:
        make_sure_free("0.0.0.0", settings.metrics_port, option=f"{PREFIX}METRICS_PORT")  # noqa: S104
    # Only now: it takes a second, and a mistake is told at once.
    from service.worker.process import run

    configure(level=settings.log_level, form=settings.log_format)
    run(settings)


@app.command(rich_help_panel=RUN)
def migrate() -> None:
    """Bring the database's tables to this version. Doing it again changes nothing.

    The user in EDIT_JOBS_API_DATABASE_URL is made if there is none yet, with the password that stands there,
    and may then do what the API does.
    """
    from service.cli.postgres import admit, explained
    from service.database import head
    from service.database import migrate as upgrade
    from service.settings import load

    settings = load()
    with explained(settings.database_url):
        upgrade(settings.database_url)
    console.out.print(f"The database is at version {head()}.")
    admit(settings)


@app.command(rich_help_panel=TRY)
def simulator(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 lets the system choose.")] = 9000,
    queue_seconds: Annotated[float, typer.Option(min=0, help="How long a request waits.")] = 1.0,
    run_seconds: Annotated[float, typer.Option(min=0, help="How long a request runs.")] = 3.0,
) -> None:
    """Stand in for RunComfy's Model API: set EDIT_JOBS_UPSTREAM_URL to the URL it prints.

    Words in a prompt script what happens: sim:queue=5, sim:run=10, sim:fail, sim:reject, sim:stuck, sim:lost,
    sim:500, sim:refused, sim:busy=2, sim:html, sim:error200, sim:word, sim:blip, sim:notready,
    sim:latecost=5, sim:nocost.
    """
    from service.cli.ports import make_sure_free
    from service.dev.simulator import Options, run

    make_sure_free(host, port)
    options = Options(queue_seconds=queue_seconds, run_seconds=run_seconds)
    run(options, host=host, port=port, announce=console.out.print)


@app.command(rich_help_panel=LOOK_AFTER)
def doctor(json: tenants.Json = False) -> None:
    """Check the settings and everything the service talks to, and say what to do about what is wrong.

    Changes nothing and costs nothing. Exits with 1 if anything is wrong.
    """
    from service.cli.doctor import run

    run(json=json)


@app.command(rich_help_panel=LOOK_AFTER)
def audit(
    tenant: Annotated[str | None, typer.Option(help="Only what concerns this one; its name or id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    json: tenants.Json = False,
) -> None:
    """Show who changed tenants, limits, tokens, keys and endpoints, newest first."""
    from service.cli.audit import run

    run(tenant=tenant, limit=limit, json=json)


@app.command(rich_help_panel=LOOK_AFTER)
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be removed.")] = False,
    json: tenants.Json = False,
) -> None:
    """Remove jobs that ended more than EDIT_JOBS_RETENTION_DAYS ago, with all that was told of them.

    Workers do the same every hour. In small steps that block nobody; it can be stopped at any time.
    """
    from service.cli.prune import run

    run(is_dry=dry_run, json=json)


app.add_typer(jobs.app, name="jobs", rich_help_panel=LOOK_AFTER)
app.add_typer(deliveries.app, name="deliveries", rich_help_panel=LOOK_AFTER)
app.add_typer(endpoints.app, name="endpoints", rich_help_panel=LOOK_AFTER)
app.add_typer(tenants.app, name="tenants", rich_help_panel=LOOK_AFTER)
app.add_typer(keys.app, name="keys", rich_help_panel=LOOK_AFTER)
app.add_typer(secrets.app, name="secrets", rich_help_panel=LOOK_AFTER)
