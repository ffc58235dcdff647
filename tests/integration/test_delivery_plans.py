"""A delivery costs the same however many are stored or wait for the dead, and however many lanes there are.

A million are too many to make for a test: some are made, and Postgres is told that they are a million.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from harness.deliveries import RULES, Clock, Senders
from sqlalchemy import TextClause

from service.database import Database
from service.database.driver import _compiled
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks import log, outbox, store
from service.webhooks.store import again, claims, failures, feed, moving, settle, sweep
from service.webhooks.turn import take_turn

STORED, FOR_THE_DEAD, LANES = 8_000, 4_000, 2_000
PRETENDED = 1_000_000

PLANT = f"""
    CREATE TEMPORARY TABLE planted AS
        SELECT uuidv7() AS event_id, uuidv7() AS job_id, n, $2::uuid AS endpoint_id,
               CASE WHEN n <= {STORED} THEN 'delivered' ELSE 'pending' END AS status,
               CASE WHEN n <= {STORED} THEN 'https://well.example'
                    WHEN n <= {STORED + FOR_THE_DEAD} THEN 'endpoint:' || $2
                    ELSE 'https://' || n || '.example' END AS origin
        FROM generate_series(1, {STORED + FOR_THE_DEAD + LANES}) AS n;
"""
EVENTS = """
    INSERT INTO events (id, tenant_id, mode, job_id, type, is_end, sequence, body, position)
    SELECT event_id, $1, 'live', job_id, 'job.completed', TRUE, 5, '{}', n FROM planted
"""
DELIVERIES = f"""
    INSERT INTO webhook_deliveries (id, tenant_id, event_id, job_id, endpoint_id, url, origin, status,
                                    attempts, in_line, finished_at)
    SELECT uuidv7(), $1, event_id, job_id, CASE WHEN n <= {STORED + FOR_THE_DEAD} THEN endpoint_id END,
           origin || '/hook', origin, status, 1, status = 'pending',
           CASE WHEN status <> 'pending' THEN now() END
    FROM planted
"""
ATTEMPTS = """
    INSERT INTO webhook_attempts (delivery_id, number, tenant_id, status_code, latency_ms, response)
    SELECT id, 1, $1, 204, 5, '' FROM webhook_deliveries
"""
ROWS_OF_LANES = """
    INSERT INTO webhook_lanes (tenant_id, origin, failures, openings, places, open_until, ready_at)
    SELECT DISTINCT $1::uuid, origin, 5, 1, 1, now() + interval '1 hour', now() + interval '1 hour'
    FROM planted WHERE status = 'pending'
"""
EXPLAIN = """
    CREATE FUNCTION pg_temp.plan_of(statement text) RETURNS json LANGUAGE plpgsql AS $$
    DECLARE plan json;
    BEGIN EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || statement INTO plan; RETURN plan; END $$
"""
PRETEND = f"""
    SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', relname::text,
                                     'relpages', relpages, 'reltuples', {PRETENDED}::real)
    FROM pg_class WHERE relname IN ('webhook_deliveries', 'events', 'webhook_attempts')
"""

DUE = {"ix_webhook_deliveries_due", "ix_webhook_deliveries_waiting"}
KEYS = {
    "pk_webhook_deliveries",
    "pk_events",
    "pk_webhook_endpoints",
    "pk_webhook_lanes",
    "pk_webhook_attempts",
}
# Of what is under way there is never more than the senders have slots.
KEYS |= {"ix_webhook_deliveries_leased"}
STATEMENTS: dict[str, tuple[TextClause, set[str]]] = {
    "look": (claims._LOOK, {*DUE, *KEYS, "ix_webhook_lanes_ready"}),
    "take": (claims._TAKE, KEYS),
    "line up": (claims._LINE_UP, KEYS),
    "put aside": (claims._PUT_ASIDE, KEYS),
    "give back": (claims._GIVE_BACK, KEYS),
    "settle": (settle._SETTLE, KEYS),
    "fail lanes": (failures._FAIL_LANES, KEYS),
    "free lost": (sweep._FREE_LOST, KEYS),
    "exhaust": (sweep._EXHAUST, {*KEYS, "ix_webhook_deliveries_ageing"}),
    "hold": (sweep._HOLD, {*KEYS, "ix_webhook_deliveries_waiting"}),
    "let go": (sweep._RELEASE, {*KEYS, "ix_webhook_deliveries_list_by_endpoint"}),
    "withdraw": (sweep._WITHDRAW, {*KEYS, "ix_webhook_deliveries_list_by_endpoint"}),
    "strays": (sweep._FIND_STRAYS, {*KEYS, "ix_webhook_deliveries_waiting"}),
    "stamp": (feed._STAMP, {*KEYS, "ix_events_unplaced"}),
    "hold an endpoint's": (again._HOLD, {*KEYS, "ix_webhook_deliveries_list_by_endpoint"}),
    "release": (again._RELEASE, {*KEYS, "ix_webhook_deliveries_list_by_endpoint"}),
    "redeliver": (again._REDELIVER, KEYS),
    "move": (moving._THESE, {*KEYS, "uq_webhook_deliveries_event_id_url"}),
    "move an endpoint's": (
        moving._OF_ENDPOINT,
        {*KEYS, "ix_webhook_deliveries_list_by_endpoint", "uq_webhook_deliveries_event_id_url"},
    ),
}
LARGE = ("webhook_deliveries", "events", "webhook_attempts")


@pytest.fixture
async def planted(senders: Senders, database: Database, tenant: Tenant) -> None:
    """Many that were delivered, many that wait for a dead endpoint, and many lanes with one each."""
    endpoint_id = await senders.endpoint("https://dead.example/hook")
    async with database.driver() as driver:
        await driver.execute(PLANT.replace("$2", f"'{endpoint_id}'"))
        for statement in (EVENTS, DELIVERIES, ATTEMPTS, ROWS_OF_LANES):
            await driver.execute(statement, tenant.id)
        await driver.execute("VACUUM ANALYZE events, webhook_deliveries, webhook_lanes, webhook_attempts")


@pytest.mark.usefixtures("planted")
async def test_no_statement_on_deliveries_reads_more_than_its_own(database: Database) -> None:
    async with database.driver() as driver:
        await driver.execute(PRETEND)
        await driver.execute(EXPLAIN)
        for name, (statement, indexes) in STATEMENTS.items():
            sql, _ = _compiled(statement)
            nodes = list(walk((await driver.fetchval("SELECT pg_temp.plan_of($1)", sql))[0]["Plan"]))
            scans = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
            assert not set(scans) & set(LARGE), name
            assert {node["Index Name"] for node in nodes if "Index Name" in node} <= indexes, name


@pytest.mark.usefixtures("planted")
async def test_a_claim_reads_what_is_due_and_not_what_waits(
    senders: Senders, database: Database, tenant: Tenant, clock: Clock
) -> None:
    for number in range(20):
        await senders.tell(f"https://fresh-{number}.example/hook")
    async with database.driver() as driver:
        sql, names = _compiled(claims._LOOK)
        given = {"owner": "one", "lane_slots": 4, "now": clock()}
        plan = await driver.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *[given[name] for name in names]
        )
    top = plan[0]["Plan"]
    # A few blocks for each of the twenty and of the endpoint's, of some thousands that are stored.
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 600
    turn = await take_turn(database, [], room=200, owner="one", lease=60, rules=RULES, now=clock())
    fresh = [one for one in turn.claimed if one.origin.startswith("https://fresh")]
    assert len(fresh) == 20
    assert {one.tenant_id for one in fresh} == {tenant.id}


@pytest.mark.usefixtures("planted")
async def test_what_is_read_of_one_job_or_recorded_for_it_costs_the_same_whatever_is_stored(
    database: Database, tenant: Tenant, clock: Clock
) -> None:
    async with database.transaction() as connection:
        job_id = uuid7()
        event = outbox.Event(
            id=uuid7(),
            tenant_id=tenant.id,
            mode="live",
            job_id=job_id,
            type="job.completed",
            is_end=True,
            sequence=5,
            body=b"{}",
        )
        before = await touched(database)
        await outbox.record(connection, event, "https://well.example/hook", now=clock())
        assert await log.of_job(connection, tenant, job_id)
        assert await store.of_jobs(connection, tenant, {job_id: "https://well.example/hook"})
    assert await touched(database) == before


async def touched(database: Database) -> dict[str, int]:
    """How often each table was read from end to end."""
    async with database.driver() as driver:
        await driver.execute("SELECT pg_stat_force_next_flush()")
        rows = await driver.fetch("SELECT relname, seq_scan FROM pg_stat_user_tables")
    return {row["relname"]: row["seq_scan"] for row in rows if row["relname"] in LARGE}


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from walk(child)
