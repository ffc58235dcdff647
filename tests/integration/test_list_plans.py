"""What a page of jobs costs, behind the wall that the API reads it through."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select

from service.database import Database
from service.ids import uuid7
from service.jobs.filter import Filter
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store import lists
from service.tenants.tenant import Tenant

STORED = 20_000
LIMIT = 50
MOST_BLOCKS = 5 * LIMIT
"""Of 8 kB, read for a page: its rows, the ways to them, and a few more. All jobs are about a thousand."""

# The tenant's jobs of the last 14 days, one every minute. Most have completed; every hundredth has failed,
# every label comes with every tenth or with every thousandth, a name twice, and another model never.
STORE = f"""
INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_events, external_id, metadata,
                  priority, on_unconfirmed, status, created_at, expires_at, finished_at, output, error)
SELECT uuidv7(n * interval '-1 minute'), tenant_id, mode, model, input, warnings, callback_events,
       'order-' || n % {STORED // 2}, metadata, priority, on_unconfirmed,
       CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'completed' END, now() - n * interval '1 minute', expires_at,
       now(), CASE WHEN n % 100 <> 0 THEN '{{}}'::json END, CASE WHEN n % 100 = 0 THEN '{{}}'::json END
FROM jobs, generate_series(1, {STORED}) AS n
"""
LABEL = """
INSERT INTO job_labels (job_id, key, value, tenant_id, mode)
SELECT id, 'team', 'team-' || extract(minute FROM created_at)::int % 10, tenant_id, mode FROM jobs
UNION ALL
SELECT id, 'campaign', 'campaign-' || right(external_id, 3), tenant_id, mode
FROM jobs WHERE external_id IS NOT NULL
"""
WEEK_AGO = Filter(since=datetime.now(UTC) - timedelta(days=7), until=datetime.now(UTC) - timedelta(days=6))
NEVER = Filter(since=datetime(2020, 1, 1, tzinfo=UTC), until=datetime(2020, 1, 2, tzinfo=UTC))
WANTED = {
    "all": Filter(),
    "a usual status": Filter(statuses=frozenset({Status.COMPLETED})),
    "a rare status": Filter(statuses=frozenset({Status.FAILED})),
    "no such status": Filter(statuses=frozenset({Status.EXPIRED})),
    "several statuses": Filter(statuses=frozenset({Status.FAILED, Status.EXPIRED, Status.COMPLETED})),
    "several rare statuses": Filter(statuses=frozenset({Status.FAILED, Status.EXPIRED})),
    "the only model": Filter(model="blackforestlabs/flux-2/dev/edit"),
    "no such model": Filter(model="acme/paint"),
    "a name": Filter(external_id="order-7"),
    "no such name": Filter(external_id="order"),
    "a usual label": Filter(metadata={"team": "team-1"}),
    "a rare label": Filter(metadata={"campaign": "campaign-017"}),
    "no such label": Filter(metadata={"campaign": "team-1"}),
    "two labels": Filter(metadata={"campaign": "campaign-017", "team": "team-7"}),
    "a time": WEEK_AGO,
    "a time, and a usual label": replace(WEEK_AGO, metadata={"team": "team-1"}),
    "a time, and a usual status": replace(WEEK_AGO, statuses=frozenset({Status.COMPLETED})),
    "a time long ago": NEVER,
    "a time long ago, and a usual label": replace(NEVER, metadata={"team": "team-1"}),
    "a time long ago, and a usual status": replace(NEVER, statuses=frozenset({Status.COMPLETED})),
}


async def test_a_page_costs_what_is_on_it_however_many_jobs_are_stored(
    database: Database,
    tenant: Tenant,
    another_tenant: Callable[[str], Awaitable[Tenant]],
    accepted: Callable[..., Awaitable[Job]],
    api_database_url: str,
) -> None:
    await accepted()
    async with database.driver() as driver:
        await driver.execute(STORE)
        await driver.execute(LABEL)
        await driver.execute("VACUUM ANALYZE jobs, job_labels")
        stored = await driver.fetchval("SELECT relpages FROM pg_class WHERE relname = 'jobs'")
    assert stored > 3 * MOST_BLOCKS

    # Nearly all are one tenant's, so that another's few are hard to find in any other way than by an index.
    few = await another_tenant("few")
    api = Database(api_database_url, connections=1)
    for owner in (tenant, few):
        for name, wanted in WANTED.items():
            for before in (None, uuid7(), UUID(int=0)):
                query = lists.query(owner, wanted, before=before, limit=LIMIT)
                assert await blocks(api, owner, query) <= MOST_BLOCKS, (name, owner, before)
    await api.close()


async def blocks(database: Database, tenant: Tenant, query: Select[Any]) -> int:
    """How many are touched when the statement runs as a page's does."""
    async with database.of_tenant(tenant.id) as connection:
        await connection.execute(lists._PLAN_FOR_THESE_VALUES)
        compiled: Any = query.compile(dialect=database.engine.dialect)
        given = tuple(compiled.params[name] for name in compiled.positiontup)
        rows = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {compiled}", given)
        plan: dict[str, Any] = rows.scalar_one()[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
