"""What a page of the log and of the feed costs, as the owner of the tables and behind row-level security."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from service.database import Database
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks import feed_reader, log
from service.webhooks.log import Filter
from service.webhooks.store import again
from service.webhooks.store import endpoints as endpoint_store

STORED = 40_000
BELIEVED = 1_000_000
"""What the statistics say there is."""
LIMIT = 10
MOST_BLOCKS = 300
"""Of 8 kB. All deliveries are over a thousand, and so are all events."""

# An event a minute, most of them delivered to one endpoint. Every thousandth was given up, another endpoint
# got every two thousandth, and nothing was ever held.
EVENTS = f"""
INSERT INTO events (id, tenant_id, mode, job_id, type, is_end, sequence, body, created_at, position)
SELECT uuidv7(n * interval '-1 minute'), :tenant_id, 'live', uuidv7(n * interval '-1 minute'),
       CASE WHEN n % 1000 = 0 THEN 'job.failed' ELSE 'job.completed' END, TRUE, 5,
       decode(repeat('00', 150), 'hex'), now() - n * interval '1 minute', {STORED} - n
FROM generate_series(1, {STORED}) AS n
"""
DELIVERIES = """
INSERT INTO webhook_deliveries (id, tenant_id, event_id, job_id, endpoint_id, url, origin,
                                status,
                                attempts, created_at, finished_at)
SELECT id, tenant_id, id, job_id,
       CASE WHEN position % 2000 = 0 THEN CAST(:rare AS uuid) ELSE CAST(:usual AS uuid) END,
       'https://example.com/hooks/edits', 'endpoint',
       CASE WHEN position % 1000 = 0 THEN 'exhausted' ELSE 'delivered' END, 1, created_at, created_at
FROM events
"""
ENDPOINT = """
INSERT INTO webhook_endpoints (id, tenant_id, mode, url, description, events, signing)
VALUES (:id, :tenant_id, 'live', :url, '', '{job.completed,job.failed}', 'v1')
"""
BELIEVE = """
SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', CAST(:name AS text),
                                 'reltuples', CAST(:rows AS real),
                                 'relpages', (pg_relation_size(CAST(:name AS text)::regclass) / 8192)::int)
"""


class Stored:
    """Much of one tenant, none of another."""

    def __init__(self, database: Database, tenant: Tenant, few: Tenant) -> None:
        self.database, self.tenant, self.few = database, tenant, few
        self.usual, self.rare = uuid7(), uuid7()

    async def blocks(self, query: Any, role: str, owner: Tenant, given: Any = None) -> int:
        """How many are touched when the statement runs as the API runs it."""
        dialect = self.database.engine.dialect
        async with self.database.of_tenant(owner.id) as connection:
            await connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
            await connection.execute(text(f"SET LOCAL ROLE {role}"))
            compiled: Any = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            values = {**compiled.params, **(given or {})}
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {compiled}"
            rows = await connection.exec_driver_sql(
                explain, tuple(values[name] for name in compiled.positiontup)
            )
            plan: dict[str, Any] = rows.scalar_one()[0]["Plan"]
            await connection.rollback()
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.fixture
async def stored(
    database: Database, tenant: Tenant, another_tenant: Callable[[str], Awaitable[Tenant]]
) -> Stored:
    made = Stored(database, tenant, await another_tenant("few"))
    async with database.transaction() as connection:
        for endpoint_id in (made.usual, made.rare):
            url = f"https://example.com/{endpoint_id}"
            await connection.execute(text(ENDPOINT), {"id": endpoint_id, "tenant_id": tenant.id, "url": url})
        await connection.execute(text(EVENTS), {"tenant_id": tenant.id})
        await connection.execute(text(DELIVERIES), {"usual": made.usual, "rare": made.rare})
    async with database.driver() as driver:
        await driver.execute("VACUUM ANALYZE events, webhook_deliveries, webhook_endpoints")
        for name in ("events", "webhook_deliveries"):
            size = await driver.fetchval("SELECT pg_relation_size($1::text::regclass) / 8192", name)
            assert size > 3 * MOST_BLOCKS, (name, size)
    async with database.transaction() as connection:
        for name in ("events", "webhook_deliveries"):
            await connection.execute(text(BELIEVE), {"name": name, "rows": float(BELIEVED)})
    return made


ROLES = ["postgres", "edit_jobs_api"]


async def test_a_page_costs_what_is_on_it_however_much_is_stored(stored: Stored) -> None:
    wanted = {
        "all": Filter(),
        "usual": Filter(statuses=frozenset({"delivered"})),
        "rare": Filter(statuses=frozenset({"exhausted"})),
        "never": Filter(statuses=frozenset({"held", "pending"})),
        "an endpoint": Filter(endpoint_id=stored.usual),
        "a rare endpoint": Filter(endpoint_id=stored.rare),
        "an endpoint's rare ones": Filter(endpoint_id=stored.usual, statuses=frozenset({"exhausted"})),
        "a rare endpoint's usual ones": Filter(endpoint_id=stored.rare, statuses=frozenset({"delivered"})),
        "no endpoint": Filter(endpoint_id=uuid4()),
        "no job": Filter(job_id=uuid4()),
        "no job's rare ones": Filter(job_id=uuid4(), statuses=frozenset({"exhausted"})),
    }
    for role, owner in product(ROLES, (stored.tenant, stored.few)):
        for name, one in wanted.items():
            for before in (None, uuid7(), UUID(int=0)):
                query = log.query(owner, one, before=before, limit=LIMIT)
                assert await stored.blocks(query, role, owner) <= MOST_BLOCKS, (name, owner, before)


async def test_a_page_of_the_feed_costs_what_is_looked_at(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_reader, "READ_AT_ONCE", 200)
    for role, owner in product(ROLES, (stored.tenant, stored.few)):
        for after in (0, STORED // 2, STORED):
            assert await stored.blocks(feed_reader.reach(owner, after=after), role, owner) <= MOST_BLOCKS
            for types in (frozenset[str](), frozenset({"job.failed"}), frozenset({"job.expired"})):
                query = feed_reader.found(owner, after=after, until=after + 200, types=types, limit=LIMIT)
                assert await stored.blocks(query, role, owner) <= MOST_BLOCKS, (owner, after, types)


async def test_a_list_of_endpoints_counts_only_so_far(stored: Stored) -> None:
    given = {"tenant_id": stored.tenant.id, "mode": "live", "now": None}
    for role in ROLES:
        assert await stored.blocks(endpoint_store._ALL, role, stored.tenant, given) <= MOST_BLOCKS


async def test_a_replay_reads_what_is_in_its_window(stored: Stored) -> None:
    now = datetime.now(UTC)
    given = {
        "tenant_id": stored.tenant.id, "mode": "live", "endpoint_id": stored.usual,
        "since": now - timedelta(minutes=600), "until": now - timedelta(minutes=590),
        "statuses": ["exhausted", "held"], "missing": True, "limit": 100, "lane": "replay",
        "now": None, "stem": str(uuid7()), "after": UUID(int=0),
    }  # fmt: skip
    for role in ROLES:
        assert await stored.blocks(again._REPLAY, role, stored.tenant, given) <= MOST_BLOCKS
    # Of a long one what is in a stretch, and not all of it each time.
    short = text(str(again._REPLAY).replace(f"LIMIT {again.STRETCH}", "LIMIT 20"))
    for role, days in product(ROLES, (0, 14)):
        window = {"since": now - timedelta(days=days, minutes=600), "until": None}
        assert await stored.blocks(short, role, stored.tenant, given | window) <= MOST_BLOCKS
