"""All that a tenant can have: a row of its own in every table that holds rows of tenants."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.database import Database
from service.database.base import Base
from service.encryption import Vault
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks.signing import new_secret

TENANTS_TABLES = tuple(
    table.name for table in Base.metadata.sorted_tables if table.name == "tenants" or "tenant_id" in table.c
)

_JOB = (
    "INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_url, callback_events, metadata,"
    " priority, on_unconfirmed, status, expires_at, finished_at, error, token_id, upstream_id, intent_at)"
    " SELECT {id}, {tenant}, {mode}, 'blackforestlabs/flux-2/dev/edit', '{{\"prompt\": \"x\"}}', '[]',"
    " 'https://hooks.example/a', '{{job.failed}}', '{{\"team\": \"ads\"}}', 1, 'fail', "
)
# Their order is that of the foreign keys; what is in braces are ids, and `tenant` and `mode`.
_ROWS = {
    "upstream_tokens": (
        "INSERT INTO upstream_tokens (id, tenant_id, sealed, max_in_flight)"
        " VALUES ({token}, {tenant}, {sealed_token}, 5) ON CONFLICT DO NOTHING"
    ),
    "api_keys": (
        "INSERT INTO api_keys (id, tenant_id, name, hash, prefix, mode, scopes)"
        " VALUES ({key}, {tenant}, 'backend', sha256({key}::text::bytea), 'ej_live_abcd', {mode},"
        " '{{jobs:read}}')"
    ),
    "jobs": _JOB.replace("{id}", "{job}")
    + "'failed', now() + interval '1 h', now(), '{{\"code\": \"x\", \"message\": \"x\"}}', NULL, 'up', NULL",
    "an accepted job": _JOB.replace("{id}", "{accepted}")
    + "'accepted', now() + interval '1 h', NULL, NULL, NULL, NULL, NULL",
    "job_events": (
        "INSERT INTO job_events (job_id, sequence, tenant_id, type, data)"
        " VALUES ({job}, 1, {tenant}, 'job.accepted', '{{}}')"
    ),
    "job_labels": (
        "INSERT INTO job_labels (job_id, key, value, tenant_id, mode)"
        " VALUES ({job}, 'team', 'ads', {tenant}, {mode})"
    ),
    "idempotency_keys": (
        "INSERT INTO idempotency_keys (tenant_id, mode, key, fingerprint, job_id)"
        " VALUES ({tenant}, {mode}, 'k', sha256('x'), {job})"
    ),
    "events": (
        "INSERT INTO events (id, tenant_id, mode, job_id, type, is_end, sequence, body, position)"
        " VALUES ({event}, {tenant}, {mode}, {job}, 'job.failed', true, 2, '{{}}', 1)"
    ),
    "webhook_endpoints": (
        "INSERT INTO webhook_endpoints (id, tenant_id, mode, url, description, events, signing)"
        " VALUES ({endpoint}, {tenant}, {mode}, 'https://hooks.example/all', '', '{{job.failed}}', 'v1')"
    ),
    "webhook_deliveries": (
        "INSERT INTO webhook_deliveries (id, tenant_id, event_id, job_id, url, origin, status, attempts,"
        " finished_at, mode, endpoint_id) VALUES ({delivery}, {tenant}, {event}, {job},"
        " 'https://hooks.example/all', 'endpoint:' || {endpoint}, 'exhausted', 1, now(), {mode}, {endpoint})"
    ),
    "webhook_attempts": (
        "INSERT INTO webhook_attempts (delivery_id, number, tenant_id, latency_ms, response)"
        " VALUES ({delivery}, 1, {tenant}, 5, '')"
    ),
    "webhook_lanes": (
        "INSERT INTO webhook_lanes (tenant_id, origin) VALUES ({tenant}, 'endpoint:' || {endpoint})"
    ),
    "webhook_secrets": (
        "INSERT INTO webhook_secrets (id, tenant_id, sealed, endpoint_id)"
        " VALUES ({secret}, {tenant}, {sealed_secret}, {endpoint})"
    ),
    "usage_days": (
        "INSERT INTO usage_days (tenant_id, mode, day, model, status, jobs, cost_usd, uncertain)"
        " VALUES ({tenant}, {mode}, '2026-01-31', 'm', 'completed', 1, 1, 0)"
    ),
    "audit_log": (
        "INSERT INTO audit_log (id, tenant_id, actor, action, data)"
        " VALUES ({entry}, {tenant}, 'somebody', 'tenant.changed', '{{}}')"
    ),
}


@dataclass(frozen=True, slots=True)
class Estate:
    """The ids of it."""

    tenant: UUID
    token: UUID
    key: UUID
    job: UUID
    accepted: UUID
    event: UUID
    endpoint: UUID
    delivery: UUID
    secret: UUID
    entry: UUID


async def furnish(database: Database, tenant: Tenant, *, vault: Vault | None = None) -> Estate:
    """Give the tenant one of everything: a failed job and an accepted one, and what belongs to the first.

    Its secrets can be opened only if it is told how to seal them.
    """
    missing = set(TENANTS_TABLES) - {"tenants"} - set(_ROWS)
    assert not missing, f"tell _ROWS how a tenant gets a row in {sorted(missing)}"
    made: dict[str, Any] = {name: uuid7() for name in Estate.__slots__}
    estate = Estate(**(made | {"tenant": tenant.id}))
    words = {name: f"'{getattr(estate, name)}'::uuid" for name in Estate.__slots__}
    for name, row in (("sealed_token", estate.token), ("sealed_secret", estate.secret)):
        sealed = vault.seal(new_secret().encode(), row=row) if vault else b"sealed"
        words[name] = f"'\\x{sealed.hex()}'::bytea"
    async with database.driver() as driver, driver.transaction():
        for statement in _ROWS.values():
            await driver.execute(statement.format(**words, mode=f"'{tenant.mode}'"))
    return estate


async def dump(database: Database) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    async with database.driver() as driver:
        return {
            table.name: [
                row[0]
                for row in await driver.fetch(f'SELECT t::text AS row FROM "{table.name}" AS t ORDER BY row')
            ]
            for table in Base.metadata.sorted_tables
        }


async def ended_like_these(database: Database, times: int) -> None:
    """Of each job that there is so many more that have ended, and Postgres knows how many."""
    async with database.driver() as driver:
        await driver.execute(
            """
            INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_events, metadata,
                              priority, on_unconfirmed, status, expires_at, finished_at, output)
            SELECT gen_random_uuid(), tenant_id, mode, model, input, warnings, callback_events, metadata,
                   priority, on_unconfirmed, 'completed', expires_at, now(), '{}'
            FROM jobs, generate_series(1, $1)
            """,
            times,
        )
        await driver.execute("VACUUM ANALYZE jobs")
