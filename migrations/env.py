"""How alembic reaches the database: one transaction per version, and no waiting behind live traffic."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import service.jobs.models
import service.tenants.models
import service.webhooks.models  # noqa: F401
from service.database.base import Base

# Any number: what counts is that every migration asks for the same one.
LOCK = 7_346_011


def run(connection: Connection) -> None:
    """Migrate under one lock, so that several processes that start at once do it once."""
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
    # A migration that waits for a table's lock makes everyone behind it wait: it gives up instead.
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transaction_per_migration=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    """Connect with the URL given by the caller, or by the environment where alembic runs by hand."""
    url = context.config.attributes.get("url")
    if url is None:
        from service.settings import load  # noqa: PLC0415  only here does the environment count

        url = load().database_url
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


asyncio.run(main())
