"""Faults of Postgres that only its superuser can play. None of them loses what was committed."""

import asyncio
import contextlib
import os
import signal

import asyncpg

from service.dev.processes import Process

PEOPLE = 290
"""Connections that strangers hold, of the 300 there are: what is left is less than the service wants."""


async def frozen(server: Process, database: str, *, seconds: float) -> None:
    """As a paused machine: nothing answers, no connection breaks. Each backend is a session of its own."""
    asked = await asyncpg.connect(database)
    pids: list[int] = []
    try:
        pids += [row[0] for row in await asked.fetch("SELECT pid FROM pg_stat_activity")]
        server.freeze()
        _signal(pids, signal.SIGSTOP)
        await asyncio.sleep(seconds)
    finally:
        _signal(pids, signal.SIGCONT)
        server.thaw()
        await asked.close()


async def sessions_ended(database: str) -> None:
    """As an operator would, or a failover."""
    asked = await asyncpg.connect(database)
    try:
        await asked.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    finally:
        await asked.close()


async def jobs_locked(database: str, *, seconds: float) -> None:
    """As a migration that takes too long would."""
    asked = await asyncpg.connect(database)
    try:
        async with asked.transaction():
            await asked.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(seconds)
    finally:
        await asked.close()


async def crowded(database: str, *, seconds: float) -> None:
    """Strangers take every connection that is free."""
    strangers: list[asyncpg.Connection] = []
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        for _ in range(PEOPLE):
            strangers.append(await asyncpg.connect(database))  # noqa: PERF401  kept if a later one fails
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.gather(*(stranger.close() for stranger in strangers), return_exceptions=True)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
