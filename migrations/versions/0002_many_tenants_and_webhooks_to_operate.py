"""Many tenants and webhooks that can be operated: limits, accounts, endpoints, lanes, the feed; and two walls.

The second wall is row-level security: the role `edit_jobs_api`, which the API's own role is a member of, sees
only the rows of the tenant that `app.tenant` names for its transaction. The owner of the tables, as whom the
worker and the command line connect, sees all.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TENANT = "nullif(current_setting('app.tenant', true), '')::uuid"
OPERATOR = "current_setting('app.operator', true) = 'on'"

# What a tenant's transaction may do with the tenant's own rows. No table is missing: what is not granted is
# refused, and without a policy nothing is seen.
GRANTED = {
    "jobs": "SELECT, INSERT, UPDATE",
    "job_events": "SELECT, INSERT, UPDATE",
    "job_labels": "SELECT, INSERT, DELETE",
    "idempotency_keys": "SELECT, INSERT, UPDATE",
    "events": "SELECT, INSERT, UPDATE",
    "webhook_endpoints": "SELECT, INSERT, UPDATE, DELETE",
    "webhook_deliveries": "SELECT, INSERT, UPDATE",
    "webhook_attempts": "SELECT, INSERT, UPDATE",
    "webhook_secrets": "SELECT, INSERT, UPDATE, DELETE",
    "webhook_lanes": "SELECT, INSERT, UPDATE, DELETE",
    "usage_days": "SELECT",
}
# What operators share with tenants: what is granted, and by which command whose rows are reached. Nobody reads
# the token of an account, nor a tenant what was noted of it; a tenant makes keys, but does not raise its limits.
OWN, ANY = f"tenant_id = {TENANT} OR {OPERATOR}", OPERATOR
GRANTED_TO_OPERATORS = {
    "tenants": (
        "SELECT, INSERT, UPDATE",
        {"SELECT": f"id = {TENANT} OR {OPERATOR}", "INSERT": ANY, "UPDATE": ANY},
    ),
    "api_keys": (
        (
            "SELECT (id, tenant_id, name, prefix, mode, scopes, created_at, expires_at, revoked_at, last_used_at),"
            " INSERT, UPDATE (revoked_at)"
        ),
        {"SELECT": OWN, "INSERT": OWN, "UPDATE": OWN},
    ),
    "upstream_tokens": (
        (
            "SELECT (id, tenant_id, max_in_flight, trouble, trouble_since, created_at),"
            " INSERT, UPDATE (tenant_id, sealed, max_in_flight, trouble, trouble_since)"
        ),
        {"SELECT": OWN, "INSERT": ANY, "UPDATE": ANY},
    ),
    "audit_log": ("SELECT, INSERT", {"SELECT": ANY, "INSERT": OWN}),
}
# What is nobody's.
GRANTED_TO_ALL = {
    "alembic_version": "SELECT",
    # It signs what a caller tries an endpoint with. Private halves are sealed; what it makes is the first key.
    "webhook_keys": "SELECT, INSERT",
}

# What the API may know beyond its transaction's tenant, each as narrow as its question. They run as the owner
# of the tables; an empty search path keeps others from putting tables of theirs before ours.
FUNCTIONS = {
    # Whose key it is, what it allows, and the limits that its requests are held to.
    "find_api_key(digest bytea)": """
        RETURNS TABLE (
            id uuid, tenant_id uuid, mode text, scopes text[], state text, is_of_disabled boolean,
            weight integer, max_in_flight integer, max_queued integer, requests_per_second integer,
            max_endpoints integer, max_keys integer
        )
        STABLE ROWS 1 AS $$
            SELECT key.id, key.tenant_id, key.mode, key.scopes,
                   CASE WHEN key.revoked_at IS NOT NULL THEN 'revoked'
                        WHEN key.expires_at <= clock_timestamp() THEN 'expired' ELSE 'live' END,
                   tenant.disabled_at IS NOT NULL, tenant.weight, tenant.max_in_flight, tenant.max_queued,
                   tenant.requests_per_second, tenant.max_endpoints, tenant.max_keys
            FROM public.api_keys AS key LEFT JOIN public.tenants AS tenant ON tenant.id = key.tenant_id
            WHERE key.hash = digest
        $$
    """,
    # Once a minute for each key is enough, however many processes have seen it.
    "note_api_keys_used(used uuid[])": """
        RETURNS void VOLATILE AS $$
            UPDATE public.api_keys SET last_used_at = clock_timestamp()
            WHERE id = ANY (used)
              AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
        $$
    """,
    # Jobs that have not ended, for /metrics: along the indexes of just those.
    "jobs_census()": """
        RETURNS TABLE (status text, model text, jobs bigint, oldest timestamptz)
        STABLE AS $$
            SELECT status, model, count(*), min(created_at) FROM (
                SELECT status, model, created_at FROM public.jobs WHERE status = 'accepted'
                UNION ALL
                SELECT status, model, created_at FROM public.jobs
                WHERE token_id IS NOT NULL
                  AND NOT (status IN ('completed', 'failed', 'cancelled', 'expired')) AND status <> 'accepted'
            ) AS open GROUP BY status, model
        $$
    """,
    # Accounts that the upstream turns away, for /health/ready and for jobs that wait for them.
    # One that was taken away from its tenant is nobody's trouble any more.
    "account_troubles()": """
        RETURNS TABLE (id uuid, tenant_id uuid, trouble text, trouble_since timestamptz)
        STABLE AS $$
            SELECT id, tenant_id, trouble, trouble_since FROM public.upstream_tokens
            WHERE trouble IS NOT NULL
              AND (tenant_id IS NOT NULL OR id = '00000000-0000-7000-8000-000000000001')
        $$
    """,
    # How many jobs, whoever's, hold a place with this account: counted to `most`.
    "places_held(token uuid, most integer)": """
        RETURNS bigint STABLE AS $$
            SELECT count(*) FROM (
                SELECT FROM public.jobs
                WHERE token_id = token AND NOT (status IN ('completed', 'failed', 'cancelled', 'expired'))
                  AND (status <> 'accepted' OR lease_until > clock_timestamp())
                LIMIT most
            ) AS held
        $$
    """,
}


def upgrade() -> None:
    op.create_table(
        "run_times",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("model", "bucket", name=op.f("pk_run_times")),
    )
    op.create_table(
        "webhook_keys",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(public) = 32", name=op.f("ck_webhook_keys_public")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_keys")),
    )
    op.create_index(
        "uq_webhook_keys_in_force",
        "webhook_keys",
        [sa.literal_column("(expires_at IS NULL)")],
        unique=True,
        postgresql_where="expires_at IS NULL",
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column(
            "at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("tenant_id", sa.UUID(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_audit_log_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(
        "ix_audit_log_tenant_id", "audit_log", ["tenant_id", sa.literal_column("id DESC")], unique=False
    )
    op.create_table(
        "usage_days",
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.NUMERIC(precision=18, scale=6), nullable=False),
        sa.Column("uncertain", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_usage_days_mode")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_usage_days_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "mode", "day", "model", "status", name=op.f("pk_usage_days")),
    )
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("signing", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("disabled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("succeeded_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("failing_since", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("failed_events", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "disabled_reason IN ('asked', 'gone', 'failing')",
            name=op.f("ck_webhook_endpoints_disabled_reason"),
        ),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_webhook_endpoints_mode")),
        sa.CheckConstraint("signing IN ('v1', 'v1a')", name=op.f("ck_webhook_endpoints_signing")),
        sa.CheckConstraint(
            "(disabled_at IS NULL) = (disabled_reason IS NULL)", name=op.f("ck_webhook_endpoints_disabled")
        ),
        sa.CheckConstraint("cardinality(events) > 0", name=op.f("ck_webhook_endpoints_events")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_endpoints_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index(
        "uq_webhook_endpoints_url",
        "webhook_endpoints",
        ["tenant_id", "mode", sa.literal_column("md5(url)")],
        unique=True,
    )
    op.create_table(
        "webhook_lanes",
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("served_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("openings", sa.Integer(), server_default="0", nullable=False),
        sa.Column("open_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("places", sa.Integer(), nullable=True),
        sa.Column("ready_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_lanes_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "origin", name=op.f("pk_webhook_lanes")),
    )
    op.create_index(
        "ix_webhook_lanes_ready",
        "webhook_lanes",
        ["ready_at"],
        unique=False,
        postgresql_where="ready_at IS NOT NULL",
    )
    op.add_column("api_keys", sa.Column("last_used_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.alter_column("api_keys", "tenant_id", existing_type=sa.UUID(), nullable=True)
    op.add_column("events", sa.Column("position", sa.BigInteger(), nullable=True))
    op.alter_column("events", "job_id", existing_type=sa.UUID(), nullable=True)
    op.alter_column("events", "sequence", existing_type=sa.INTEGER(), nullable=True)
    op.create_index(
        "ix_events_feed",
        "events",
        ["tenant_id", "mode", "position"],
        unique=False,
        postgresql_where="position IS NOT NULL",
    )
    op.create_index("ix_events_created_at", "events", ["tenant_id", "mode", "created_at"], unique=False)
    op.create_index("ix_events_unplaced", "events", ["id"], unique=False, postgresql_where="position IS NULL")
    op.add_column("jobs", sa.Column("cost_due_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.create_index(
        "ix_jobs_cost_due", "jobs", ["cost_due_at"], unique=False, postgresql_where="cost_due_at IS NOT NULL"
    )
    op.drop_constraint(op.f("ck_jobs_waiting_for"), "jobs")
    op.create_check_constraint(
        op.f("ck_jobs_waiting_for"),
        "jobs",
        "waiting_for IN ('upstream_limit', 'upstream_account', 'backoff', 'deadline')",
    )
    op.create_index(
        "ix_jobs_ready",
        "jobs",
        ["mode", "tenant_id", sa.literal_column("priority DESC"), "id"],
        unique=False,
        postgresql_where="status = 'accepted' AND waiting_for IS NULL",
    )
    op.create_index(
        "ix_jobs_put_back",
        "jobs",
        ["due_at"],
        unique=False,
        postgresql_where="status = 'accepted' AND waiting_for <> 'deadline'",
    )
    op.drop_index("ix_jobs_waiting", table_name="jobs", postgresql_where="status = 'accepted'")
    op.create_index(
        "ix_jobs_usage",
        "jobs",
        ["tenant_id", "mode", "finished_at"],
        unique=False,
        postgresql_where="finished_at IS NOT NULL",
        postgresql_include=["model", "status", "cost_usd", "submitted_at", "unconfirmed"],
    )
    op.add_column("tenants", sa.Column("max_queued", sa.Integer(), server_default="100000", nullable=False))
    op.add_column(
        "tenants", sa.Column("requests_per_second", sa.Integer(), server_default="1000", nullable=False)
    )
    op.add_column("tenants", sa.Column("max_endpoints", sa.Integer(), server_default="20", nullable=False))
    op.add_column("tenants", sa.Column("max_keys", sa.Integer(), server_default="100", nullable=False))
    op.add_column("tenants", sa.Column("disabled_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.drop_constraint(op.f("uq_upstream_tokens_tenant_id"), "upstream_tokens", type_="unique")
    op.create_unique_constraint(op.f("uq_upstream_tokens_tenant_id"), "upstream_tokens", ["tenant_id"])
    op.add_column("webhook_deliveries", sa.Column("mode", sa.Text(), server_default="live", nullable=False))
    op.add_column("webhook_deliveries", sa.Column("endpoint_id", sa.UUID(), nullable=True))
    op.alter_column("webhook_deliveries", "job_id", existing_type=sa.UUID(), nullable=True)
    op.add_column(
        "webhook_deliveries",
        sa.Column("in_line", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    # Not `clock_timestamp()`: a default that changes while it is filled in would rewrite the table.
    op.add_column(
        "webhook_deliveries",
        sa.Column(
            "gives_up_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now() + interval '4 days'"),
            nullable=False,
        ),
    )
    op.add_column(
        "webhook_deliveries", sa.Column("past_attempts", sa.Integer(), server_default="0", nullable=False)
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["due_at"],
        unique=False,
        postgresql_where="status = 'pending' AND NOT in_line",
    )
    op.create_index(
        "ix_webhook_deliveries_ageing",
        "webhook_deliveries",
        ["gives_up_at"],
        unique=False,
        postgresql_where="status = 'held' OR status = 'pending' AND in_line",
    )
    op.create_index(
        "ix_webhook_deliveries_list",
        "webhook_deliveries",
        ["tenant_id", "mode", "status", sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_webhook_deliveries_list_by_endpoint",
        "webhook_deliveries",
        ["endpoint_id", "status", sa.literal_column("id DESC")],
        unique=False,
        postgresql_where="endpoint_id IS NOT NULL",
    )
    op.create_index(
        "ix_webhook_deliveries_list_by_job",
        "webhook_deliveries",
        ["job_id", sa.literal_column("id DESC")],
        unique=False,
    )
    op.add_column("webhook_secrets", sa.Column("endpoint_id", sa.UUID(), nullable=True))
    op.add_column("webhook_secrets", sa.Column("mode", sa.Text(), server_default="live", nullable=False))
    op.create_index("ix_webhook_secrets_endpoint_id", "webhook_secrets", ["endpoint_id"], unique=False)
    op.create_foreign_key(
        op.f("fk_webhook_secrets_endpoint_id"),
        "webhook_secrets",
        "webhook_endpoints",
        ["endpoint_id"],
        ["id"],
        ondelete="CASCADE",
    )

    op.create_check_constraint(op.f("ck_tenants_max_queued"), "tenants", "max_queued >= 0")
    op.create_check_constraint(op.f("ck_tenants_requests_per_second"), "tenants", "requests_per_second >= 1")
    op.create_check_constraint(op.f("ck_tenants_max_endpoints"), "tenants", "max_endpoints >= 0")
    op.create_check_constraint(op.f("ck_tenants_max_keys"), "tenants", "max_keys >= 0")
    op.create_check_constraint(
        op.f("ck_api_keys_admin"), "api_keys", "(tenant_id IS NULL) = ('admin' = ANY (scopes))"
    )
    op.create_check_constraint(
        op.f("ck_events_about_a_job"), "events", "(job_id IS NULL) = (sequence IS NULL)"
    )
    op.create_check_constraint(
        op.f("ck_webhook_deliveries_mode"), "webhook_deliveries", "mode IN ('live', 'test')"
    )
    op.execute("CREATE SEQUENCE event_positions")

    op.create_check_constraint(op.f("ck_webhook_secrets_mode"), "webhook_secrets", "mode IN ('live', 'test')")

    # The account of the scripted upstream, which jobs of test keys run on.
    op.execute("INSERT INTO upstream_tokens (id) VALUES ('00000000-0000-7000-8000-000000000002')")
    _build_the_second_wall()


def downgrade() -> None:
    _tear_the_second_wall_down()
    op.execute("DELETE FROM upstream_tokens WHERE id = '00000000-0000-7000-8000-000000000002'")

    op.drop_constraint(op.f("ck_events_about_a_job"), "events")
    op.drop_constraint(op.f("ck_api_keys_admin"), "api_keys")

    op.drop_constraint(op.f("fk_webhook_secrets_endpoint_id"), "webhook_secrets", type_="foreignkey")
    op.drop_index("ix_webhook_secrets_endpoint_id", table_name="webhook_secrets")
    op.drop_column("webhook_secrets", "mode")
    op.drop_column("webhook_secrets", "endpoint_id")
    op.drop_index(
        "ix_webhook_deliveries_ageing",
        table_name="webhook_deliveries",
        postgresql_where="status = 'held' OR status = 'pending' AND in_line",
    )
    op.drop_index(
        "ix_webhook_deliveries_due",
        table_name="webhook_deliveries",
        postgresql_where="status = 'pending' AND NOT in_line",
    )
    op.drop_column("webhook_deliveries", "past_attempts")
    op.drop_column("webhook_deliveries", "gives_up_at")
    op.drop_column("webhook_deliveries", "in_line")
    op.drop_index("ix_webhook_deliveries_list_by_job", table_name="webhook_deliveries")
    op.drop_index("ix_webhook_deliveries_list_by_endpoint", table_name="webhook_deliveries")
    op.drop_index("ix_webhook_deliveries_list", table_name="webhook_deliveries")
    op.alter_column("webhook_deliveries", "job_id", existing_type=sa.UUID(), nullable=False)
    op.drop_column("webhook_deliveries", "endpoint_id")
    op.drop_column("webhook_deliveries", "mode")
    op.drop_constraint(op.f("uq_upstream_tokens_tenant_id"), "upstream_tokens", type_="unique")
    op.create_unique_constraint(
        op.f("uq_upstream_tokens_tenant_id"),
        "upstream_tokens",
        ["tenant_id"],
        postgresql_nulls_not_distinct=True,
    )
    op.drop_column("tenants", "disabled_at")
    op.drop_column("tenants", "max_keys")
    op.drop_column("tenants", "max_endpoints")
    op.drop_column("tenants", "requests_per_second")
    op.drop_column("tenants", "max_queued")
    op.drop_index("ix_jobs_usage", table_name="jobs", postgresql_where="finished_at IS NOT NULL")
    op.create_index(
        "ix_jobs_waiting",
        "jobs",
        ["tenant_id", sa.literal_column("priority DESC"), "id"],
        unique=False,
        postgresql_where="status = 'accepted'",
    )
    op.drop_index("ix_jobs_put_back", table_name="jobs")
    op.drop_index("ix_jobs_ready", table_name="jobs")
    op.execute("UPDATE jobs SET waiting_for = NULL WHERE waiting_for = 'deadline'")
    op.drop_constraint(op.f("ck_jobs_waiting_for"), "jobs")
    op.create_check_constraint(
        op.f("ck_jobs_waiting_for"),
        "jobs",
        "waiting_for IN ('upstream_limit', 'upstream_account', 'backoff')",
    )
    op.drop_index("ix_jobs_cost_due", table_name="jobs", postgresql_where="cost_due_at IS NOT NULL")
    op.drop_column("jobs", "cost_due_at")
    op.drop_index("ix_events_created_at", table_name="events")
    op.drop_index("ix_events_unplaced", table_name="events", postgresql_where="position IS NULL")
    op.drop_index("ix_events_feed", table_name="events", postgresql_where="position IS NOT NULL")
    op.alter_column("events", "sequence", existing_type=sa.INTEGER(), nullable=False)
    op.alter_column("events", "job_id", existing_type=sa.UUID(), nullable=False)
    op.drop_column("events", "position")
    op.execute("DROP SEQUENCE event_positions")
    op.alter_column("api_keys", "tenant_id", existing_type=sa.UUID(), nullable=False)
    op.drop_column("api_keys", "last_used_at")
    op.drop_table("webhook_lanes")
    op.drop_index("uq_webhook_endpoints_url", table_name="webhook_endpoints")
    op.drop_table("webhook_endpoints")
    op.drop_table("usage_days")
    op.drop_index("ix_audit_log_tenant_id", table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_table("webhook_keys")
    op.drop_table("run_times")


def _build_the_second_wall() -> None:
    # Roles are the cluster's, and several databases of it may be migrated at once.
    op.execute("""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'edit_jobs_api') THEN
                CREATE ROLE edit_jobs_api NOLOGIN;
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION '%: let an administrator run CREATE ROLE edit_jobs_api NOLOGIN;', SQLERRM
                    USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    op.execute("GRANT USAGE ON SCHEMA public TO edit_jobs_api")
    for table, privileges in GRANTED_TO_ALL.items():
        op.execute(f"GRANT {privileges} ON {table} TO edit_jobs_api")
    for table, privileges in GRANTED.items():
        _grant(table, privileges)
        rule = f"tenant_id = {TENANT}"
        op.execute(f"CREATE POLICY tenant ON {table} TO edit_jobs_api USING ({rule}) WITH CHECK ({rule})")
    for table, (privileges, rules) in GRANTED_TO_OPERATORS.items():
        _grant(table, privileges)
        for command, rule in rules.items():
            check = f"WITH CHECK ({rule})" if command == "INSERT" else f"USING ({rule})"
            op.execute(
                f"CREATE POLICY may_{command.lower()} ON {table} FOR {command} TO edit_jobs_api {check}"
            )
    for signature, body in FUNCTIONS.items():
        returns, _, query = body.strip().partition("AS $$")
        op.execute(
            f"CREATE FUNCTION {signature} {returns} LANGUAGE sql SECURITY DEFINER"
            f" SET search_path = '' AS $${query}"
        )
        op.execute(f"REVOKE EXECUTE ON FUNCTION {_named(signature)} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {_named(signature)} TO edit_jobs_api")
    # For everybody, the owner too, and whatever a session says of its triggers.
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)
    op.execute("ALTER TABLE audit_log ENABLE ALWAYS TRIGGER append_only")


def _grant(table: str, privileges: str) -> None:
    op.execute(f"GRANT {privileges} ON {table} TO edit_jobs_api")
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def _named(signature: str) -> str:
    """With the types of its parameters alone."""
    name, _, parameters = signature.removesuffix(")").partition("(")
    return f"{name}({', '.join(part.split()[-1] for part in parameters.split(',') if part)})"


def _tear_the_second_wall_down() -> None:
    op.execute("DROP TRIGGER append_only ON audit_log")
    op.execute("DROP FUNCTION refuse_change()")
    for signature in FUNCTIONS:
        op.execute(f"DROP FUNCTION {_named(signature)}")
    for table in GRANTED:
        op.execute(f"DROP POLICY tenant ON {table}")
    for table, (_, rules) in GRANTED_TO_OPERATORS.items():
        for command in rules:
            op.execute(f"DROP POLICY may_{command.lower()} ON {table}")
    for table in (*GRANTED, *GRANTED_TO_OPERATORS):
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    # One by one, since only a member may drop all that a role has, and the owner of the tables need not be one.
    for table in (*GRANTED_TO_ALL, *GRANTED, *GRANTED_TO_OPERATORS):
        op.execute(f"REVOKE ALL ON {table} FROM edit_jobs_api")
    # Other databases of the cluster may still use the role itself.
    op.execute("REVOKE USAGE ON SCHEMA public FROM edit_jobs_api")
