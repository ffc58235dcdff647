"""What `edit-jobs prune` does: removes what is old, and says how far it is."""

from contextlib import aclosing
from dataclasses import asdict

from service.cli import console
from service.cli.failures import CommandError
from service.cli.postgres import on_database
from service.clock import postgres_time
from service.database import Database
from service.jobs.retention import FOR_EVER, BusyError, Pruned, prune
from service.settings import load


def run(*, is_dry: bool, json: bool) -> None:
    """Remove it, or count what would be removed."""
    settings = load()
    days = settings.retention_days

    async def work(database: Database) -> Pruned:
        pruned = Pruned()
        steps = prune(database, days=days, clock=postgres_time, is_dry=is_dry)
        with console.err.status("Looking for what is old") as status:
            async with aclosing(steps):
                async for pruned in steps:
                    status.update(f"{pruned.jobs:,} jobs {'found' if is_dry else 'removed'}")
        return pruned

    try:
        pruned = on_database(settings, work)
    except BusyError:
        raise CommandError("somebody else is removing what is old: a worker, or this command") from None
    if json:
        console.as_json({"dry_run": is_dry, "retention_days": days, **asdict(pruned)})
        return
    kept = "Jobs are kept for ever." if days == FOR_EVER else f"Kept are {days} days."
    console.facts(
        f"{'Would remove' if is_dry else 'Removed'} what is old. {kept}",
        {
            "jobs": f"{pruned.jobs:,}",
            "idempotency keys": f"{pruned.idempotency_keys:,}",
            "other events": f"{pruned.events:,}",
            "signing secrets": f"{pruned.secrets:,}",
        },
        note=f"{pruned.undelivered:,} old jobs stay: webhooks of theirs are still to be delivered."
        if pruned.undelivered
        else "",
    )
