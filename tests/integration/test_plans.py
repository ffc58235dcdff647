"""The plans of what runs at every tick do not depend on how many jobs are stored."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.sql.selectable import TextualSelect

from service.database import Database
from service.jobs.job import Job
from service.jobs.store import claims, costs, line, wishes
from service.tenants.models import PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID

STORED = """
INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_events, metadata, priority,
                  on_unconfirmed, status, expires_at, finished_at, output)
SELECT gen_random_uuid(), tenant_id, mode, model, input, warnings, callback_events, metadata, priority,
       on_unconfirmed, 'completed', expires_at, now(), '{}'
FROM jobs, generate_series(1, 30000)
"""
WAITING = """
INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_events, metadata, priority,
                  on_unconfirmed, status, expires_at)
SELECT gen_random_uuid(), tenant_id, mode, model, input, warnings, callback_events, metadata, priority,
       on_unconfirmed, 'accepted', expires_at
FROM jobs, generate_series(1, 3000) WHERE status = 'accepted'
"""
# As if of 5,000,000 jobs 1,000,000 were waiting: the planner goes by what it was told of their number.
MANY = """
UPDATE pg_class SET reltuples = 5000000 WHERE relname IN ('jobs', 'pk_jobs');
UPDATE pg_class SET reltuples = 1000000 WHERE relname IN ('ix_jobs_ready', 'ix_jobs_expiring');
"""
TENANTS = """
INSERT INTO tenants (id, name) SELECT gen_random_uuid(), 'tenant-' || n FROM generate_series(1, 1000) AS n
"""
GIVEN = {
    "token": PLATFORM_TOKEN_ID,
    "places": 100,
    "room": 10000,
    "owner": "w",
    "lease": 8.0,
    "now": None,
    "expired": True,
    "unanswered": 65.0,
    "most": 20,
    "since": datetime(2026, 1, 1, tzinfo=UTC),
    "platform": PLATFORM_TOKEN_ID,
    "tokens": [PLATFORM_TOKEN_ID],
    "scripted": SCRIPTED_TOKEN_ID,
}
STATEMENTS: list[tuple[str, TextualSelect | TextClause, set[str]]] = [
    ("accounts", line._ACCOUNTS, {"ix_jobs_ready"}),
    ("claim", claims._TAKE_WAITING, {"ix_jobs_ready", "ix_jobs_places", "pk_jobs"}),
    ("claim with its own token", claims._TAKE_OWN, {"ix_jobs_ready", "ix_jobs_places", "pk_jobs"}),
    ("claim in test mode", claims._TAKE_TEST, {"ix_jobs_ready", "ix_jobs_places", "pk_jobs"}),
    ("let in", line._LET_IN, {"ix_jobs_put_back", "pk_jobs"}),
    ("hurry", line._HURRY, {"ix_jobs_put_back", "pk_jobs"}),
    ("set aside", line._SET_ASIDE, {"ix_jobs_expiring", "pk_jobs"}),
    ("take over", claims._TAKE_OVER, {"ix_jobs_places", "pk_jobs"}),
    ("deadlines", wishes._OVERDUE, {"ix_jobs_expiring"}),
    ("late costs", costs._TAKE_DUE, {"ix_jobs_cost_due", "pk_jobs"}),
    ("wishes", wishes._TAKE_DUE, {"ix_jobs_cancel_due", "pk_jobs"}),
]

ONE_ROW = {"accounts": {"ix_jobs_ready"}}
"""Whose first row alone is wanted."""


@pytest.mark.parametrize("many", [False, True], ids=["some", "many"])
@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_what_runs_at_every_tick_reads_only_its_own_index(
    database: Database, accepted: Callable[..., Awaitable[Job]], mode: str, many: bool
) -> None:
    await accepted()
    async with database.driver() as driver:
        await driver.execute(STORED)
        await driver.execute(WAITING)
        await driver.execute(TENANTS)
        await driver.execute("VACUUM ANALYZE jobs, tenants")
        if many:
            await driver.execute(MANY)
    for name, statement, indexes in STATEMENTS:
        async with database.transaction() as connection:
            await connection.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
            sql = str(getattr(statement, "element", statement))
            given = {key: value for key, value in GIVEN.items() if f":{key}" in sql}
            explained = await connection.execute(text(f"EXPLAIN (FORMAT JSON) {sql}"), given)
            nodes = list(walk(explained.scalar_one()[0]["Plan"]))
        scans = [
            node for node in nodes if node.get("Relation Name") == "jobs" and "Scan" in node["Node Type"]
        ]
        assert scans, name
        used = {node.get("Index Name", node["Node Type"]) for node in [*scans, *nodes] if is_read(node)}
        assert used <= indexes, (name, used)
        # An index that is read from end to end is as bad as the table.
        whole = [node["Index Name"] for node in nodes if "Index Name" in node and "Index Cond" not in node]
        assert set(whole) <= ONE_ROW.get(name, {"ix_jobs_places"}), (name, whole)


def is_read(node: dict[str, Any]) -> bool:
    is_of_jobs = node.get("Relation Name") == "jobs" and node["Node Type"] != "Bitmap Heap Scan"
    return "Scan" in node["Node Type"] and (is_of_jobs or "ix_jobs" in node.get("Index Name", ""))


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from walk(child)
