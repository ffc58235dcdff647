"""Bugs for the audit to find, so that a green run means something. None of them is in the product.

`python -m chaos.plants BUG` is a worker with that bug: its statements and steps are changed when it
starts. The service has several walls where one would do, and with one of them gone the audit finds nothing,
rightly; so a plant takes away all the walls that stand in one place.
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.sql.selectable import TextualSelect

from service.dev.processes import Process
from service.dev.stack import DATABASE, Stack
from service.jobs.job import Job
from service.jobs.ledger import Ledger
from service.jobs.lifecycle import COMPLETE, EXPIRE, FAIL, INTEND, Move, Status
from service.jobs.models import states
from service.jobs.store import claims, moves
from service.jobs.store.table import LEASE_RAN_OUT
from service.jobs.store.writing import Write

TESTS = Path(__file__).parents[1]


class Planted(Stack):
    """A stack whose workers have the bug."""

    bug: ClassVar[str] = ""

    @classmethod
    def with_bug(cls, bug: str) -> "type[Planted]":
        return type(bug, (cls,), {"bug": bug})

    async def prepare(self) -> None:
        """Take down the database's own wall, which would stop the bug."""
        if statement := WALLS.get(self.bug):
            connection = await asyncpg.connect(self.postgres.url(DATABASE, scheme="postgresql"))
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

    def _process(self, name: str, *program: str, ready: Callable[[Process], bool]) -> Process:
        if program[-1:] == ("worker",):
            program = (sys.executable, "-c", WORKER, str(TESTS), self.bug)
        return super()._process(name, *program, ready=ready)


WORKER = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from chaos.plants import PLANTS
PLANTS[sys.argv.pop(1)]()
sys.argv.append("worker")
from service.cli import main
main()
"""


def unguarded_end() -> None:
    """A job is ended whatever it is and whoever owns it: a worker that was thought dead ends it again."""
    for name, end in {"_COMPLETE": COMPLETE, "_FAIL": FAIL, "_EXPIRE": EXPIRE}.items():
        under_way = f"status IN ({states(end.leaves)})"
        _rewrite(moves, name, {under_way: "TRUE", moves.BY_EPOCH: f"(TRUE OR {moves.BY_EPOCH})"})


def intent_after_the_post() -> None:
    """The intent is written when the answer is there: who dies in between leaves a job that is sent again."""
    written = Ledger.move
    intents: dict[UUID, Write] = {}

    async def late(ledger: Ledger, job: Job, move: Move, write: Write) -> Job | None:
        if move is INTEND:
            intents[job.id] = write
            return dataclasses.replace(job, status=Status.SUBMITTING, submits=job.submits + 1)
        if intent := intents.pop(job.id, None):
            await written(ledger, job, INTEND, intent)
        return await written(ledger, job, move, write)

    setattr(Ledger, "move", late)  # noqa: B010  mypy rightly allows no assignment


def no_lease_check() -> None:
    """A worker asks neither whether a job is another's when it takes it, nor whether it still is its own
    when it sends it."""
    _rewrite(claims, "_TAKE_WAITING", {LEASE_RAN_OUT: "TRUE"})
    once_more = INTEND.leaves | {Status.SUBMITTING}
    sending = {
        f"{moves.BY_EPOCH} AND lease_until > clock_timestamp()": f"(TRUE OR {moves.BY_EPOCH})",
        f"status IN ({states(INTEND.leaves)})": f"status IN ({states(once_more)})",
    }
    _rewrite(moves, "_INTEND", sending)


PLANTS: dict[str, Callable[[], None]] = {
    "unguarded_end": unguarded_end,
    "intent_after_the_post": intent_after_the_post,
    "no_lease_check": no_lease_check,
}
FAULTS = {
    "unguarded_end": ("worker frozen",),
    "intent_after_the_post": ("worker killed", "upstream slow"),
    "no_lease_check": ("worker frozen", "worker killed", "upstream slow"),
}
"""What brings each to light; other faults are left out, so that it does not take long."""
WALLS = {"unguarded_end": "DROP INDEX uq_events_end"}


def _rewrite(module: ModuleType, name: str, changes: dict[str, str]) -> None:
    """Change a statement's text. A plant that no longer finds what it changes must not look harmless."""
    statement: TextualSelect = getattr(module, name)
    sql: Any = statement.element
    words: str = sql.text
    for old, new in changes.items():
        assert old in words, f"{name} does not say {old!r} any more"
        words = words.replace(old, new)
    columns: list[Any] = list(statement.column_args)
    setattr(module, name, TextualSelect(text(words), columns, positional=statement.positional))
