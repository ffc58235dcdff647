"""`edit-jobs jobs`: for the operator on call, who may look at any tenant's jobs."""
# ruff: noqa: PLC0415  a command imports what it runs on when it runs

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from service.cli import console
from service.cli.tenants import Json
from service.cli.who import note

if TYPE_CHECKING:
    from service.database import Database
    from service.jobs.job import Job
    from service.queue import Bell

app = typer.Typer(help="Look at jobs of any tenant, cancel them, and run them again.", no_args_is_help=True)

JobId = Annotated[UUID, typer.Argument(metavar="ID", help="The job's id.")]


@app.command(name="list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's; its name or id.")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="Only those in this state; can be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    from service.cli.postgres import on_database
    from service.jobs import oversight
    from service.jobs.lifecycle import Status
    from service.settings import load

    try:
        statuses = [Status(word) for word in dict.fromkeys(status or ())]
    except ValueError as error:
        raise typer.BadParameter(f"{error}; states are: {', '.join(Status)}") from None

    async def work(database: "Database") -> list[tuple[str, "Job"]]:
        return await oversight.newest(database, tenant=tenant, statuses=statuses, limit=limit)

    settings = load()
    found = on_database(settings, work)
    if json:
        from service.jobs import view

        console.as_json(
            [
                {"tenant": name, "job": view.document(job, public_url=settings.public_url)}
                for name, job in found
            ]
        )
        return
    console.listing(
        ("ID", "TENANT", "STATUS", "CREATED", "FINISHED", "ERROR", "EXTERNAL ID"),
        (
            (
                job.id,
                name,
                job.status,
                console.moment(job.created_at),
                console.moment(job.finished_at),
                job.error and job.error["code"],
                job.external_id,
            )
            for name, job in found
        ),
    )


@app.command()
def show(job_id: JobId, json: Json = False) -> None:
    """Tell the whole story of a job: the request, what happened to it, what was delivered."""
    from service.cli import case
    from service.cli.postgres import on_database
    from service.clock import postgres_time
    from service.jobs import oversight
    from service.jobs.waiting import Line
    from service.settings import load

    settings = load()
    line = Line(places=settings.upstream_max_in_flight, clock=postgres_time)
    found = on_database(settings, lambda database: oversight.case(database, job_id, line=line))
    if json:
        console.as_json(case.document(found, public_url=settings.public_url))
    else:
        case.tell(found)


@app.command()
def cancel(job_id: JobId, json: Json = False) -> None:
    """Cancel a job: at once if it was not sent yet, else by the upstream, which is waited for up to 5 s."""
    from service.cli.ringing import ringing
    from service.clock import postgres_time
    from service.jobs.cancel import HOLD_SECONDS
    from service.jobs.cancel import cancel as ask
    from service.jobs.oversight import owner
    from service.settings import load

    settings = load()

    async def work(database: "Database", bell: "Bell") -> "Job":
        tenant = await owner(database, job_id)
        await note(database, tenant, "job.cancel_requested", job_id=str(job_id))
        return await ask(
            database,
            tenant,
            job_id,
            bell=bell,
            clock=postgres_time,
            public_url=settings.public_url,
            hold=HOLD_SECONDS,
        )

    job = ringing(work, waiting="Waiting for the upstream's word")
    if job.cancel_outcome == "pending":
        _told(job, f"Asked to cancel {job_id}; the upstream has not answered yet.", json=json)
    else:
        _told(job, f"Cancelled {job_id}.", json=json)


@app.command()
def retry(job_id: JobId, json: Json = False) -> None:
    """Run a job that failed, expired or was cancelled once more, as a new job. It may cost money again."""
    from service.cli.ringing import ringing
    from service.clock import postgres_time
    from service.jobs.accept import Acceptance
    from service.jobs.oversight import owner
    from service.jobs.retry import retry as again

    async def work(database: "Database", bell: "Bell") -> Acceptance:
        tenant = await owner(database, job_id)
        await note(database, tenant, "job.retry_requested", job_id=str(job_id))
        return await again(database, tenant, job_id, bell=bell, clock=postgres_time)

    made = ringing(work, waiting="Accepting it")
    begin = "Accepted" if made.is_new else "It was retried before, as"
    _told(made.job, f"{begin} {made.job.id}.", json=json)


def _told(job: "Job", sentence: str, *, json: bool) -> None:
    if json:
        from service.jobs import view
        from service.settings import load

        console.as_json(view.document(job, public_url=load().public_url))
    else:
        console.out.print(sentence)
