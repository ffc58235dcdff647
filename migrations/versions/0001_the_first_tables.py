"""The first tables: tenants and keys, jobs and their timelines, events and their deliveries."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("weight", sa.Integer(), server_default="1", nullable=False),
        sa.Column("max_in_flight", sa.Integer(), server_default="1000", nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 100", name=op.f("ck_tenants_name")),
        sa.CheckConstraint("max_in_flight >= 0", name=op.f("ck_tenants_max_in_flight")),
        sa.CheckConstraint("weight BETWEEN 1 AND 1000", name=op.f("ck_tenants_weight")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("name", name=op.f("uq_tenants_name")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("revoked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_api_keys_mode")),
        sa.CheckConstraint("cardinality(scopes) > 0", name=op.f("ck_api_keys_scopes")),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_api_keys_hash")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_keys_hash")),
    )
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant_id", "id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("is_end", sa.Boolean(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_events_mode")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_events_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("uq_events_end", "events", ["job_id"], unique=True, postgresql_where="is_end")
    op.create_index("uq_events_job_id_sequence", "events", ["job_id", "sequence"], unique=True)
    op.create_table(
        "upstream_tokens",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("max_in_flight", sa.Integer(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("trouble_since", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(tenant_id IS NULL) = (max_in_flight IS NULL)", name=op.f("ck_upstream_tokens_max_in_flight")
        ),
        sa.CheckConstraint("(tenant_id IS NULL) = (sealed IS NULL)", name=op.f("ck_upstream_tokens_sealed")),
        sa.CheckConstraint(
            "(trouble IS NULL) = (trouble_since IS NULL)", name=op.f("ck_upstream_tokens_trouble")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_upstream_tokens_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upstream_tokens")),
        sa.UniqueConstraint(
            "tenant_id", name=op.f("uq_upstream_tokens_tenant_id"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_secrets_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
    )
    op.create_index("ix_webhook_secrets_tenant_id", "webhook_secrets", ["tenant_id"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("input", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("warnings", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=True),
        sa.Column("callback_events", postgresql.ARRAY(sa.TEXT()), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("on_unconfirmed", sa.Text(), nullable=False),
        sa.Column("retry_of", sa.UUID(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), server_default="1", nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "due_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("submits", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unconfirmed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refusals", sa.Integer(), server_default="0", nullable=False),
        sa.Column("intent_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("token_id", sa.UUID(), nullable=True),
        sa.Column("upstream_id", sa.Text(), nullable=True),
        sa.Column("queue_position", sa.Integer(), nullable=True),
        sa.Column("cancel_requested_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("cancel_outcome", sa.Text(), nullable=True),
        sa.Column("cancel_due_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("output", postgresql.JSON(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSON(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("cost_usd", sa.NUMERIC(precision=12, scale=6), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("submitted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("finished_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(cancel_requested_at IS NULL) = (cancel_outcome IS NULL) AND (cancel_outcome IS NOT DISTINCT FROM 'pending') = (cancel_due_at IS NOT NULL)",
            name=op.f("ck_jobs_cancel"),
        ),
        sa.CheckConstraint(
            "(status = 'completed' AND deleted_at IS NULL) = (output IS NOT NULL)",
            name=op.f("ck_jobs_output"),
        ),
        sa.CheckConstraint(
            "(status IN ('completed', 'failed', 'cancelled', 'expired')) = (finished_at IS NOT NULL)",
            name=op.f("ck_jobs_ended_at"),
        ),
        sa.CheckConstraint(
            "(status IN ('failed', 'expired') AND deleted_at IS NULL) = (error IS NOT NULL)",
            name=op.f("ck_jobs_error"),
        ),
        sa.CheckConstraint(
            "NOT (status IN ('completed', 'failed', 'cancelled', 'expired')) OR cancel_outcome <> 'pending'",
            name=op.f("ck_jobs_ended_cancel_is_known"),
        ),
        sa.CheckConstraint(
            "NOT (status IN ('completed', 'failed', 'cancelled', 'expired')) OR owner IS NULL",
            name=op.f("ck_jobs_ended_is_not_owned"),
        ),
        sa.CheckConstraint(
            "NOT (status IN ('in_queue', 'in_progress')) OR (upstream_id IS NOT NULL AND submitted_at IS NOT NULL)",
            name=op.f("ck_jobs_taken"),
        ),
        sa.CheckConstraint(
            "NOT (status IN ('submitting', 'in_queue', 'in_progress')) OR (intent_at IS NOT NULL AND token_id IS NOT NULL)",
            name=op.f("ck_jobs_intent"),
        ),
        sa.CheckConstraint(
            "cancel_outcome IN ('pending', 'cancelled', 'not_cancellable')",
            name=op.f("ck_jobs_cancel_outcome"),
        ),
        sa.CheckConstraint(
            "deleted_at IS NULL OR ((status IN ('completed', 'failed', 'cancelled', 'expired')) AND input::text = '{}' AND warnings::text = '[]' AND metadata::text = '{}' AND callback_url IS NULL AND external_id IS NULL)",
            name=op.f("ck_jobs_tombstone"),
        ),
        sa.CheckConstraint("mode IN ('live', 'test')", name=op.f("ck_jobs_mode")),
        sa.CheckConstraint("on_unconfirmed IN ('fail', 'resubmit')", name=op.f("ck_jobs_on_unconfirmed")),
        sa.CheckConstraint("status <> 'in_progress' OR started_at IS NOT NULL", name=op.f("ck_jobs_started")),
        sa.CheckConstraint(
            "status = 'accepted' OR waiting_for IS NULL", name=op.f("ck_jobs_only_accepted_waits")
        ),
        sa.CheckConstraint(
            "status = 'in_queue' OR queue_position IS NULL", name=op.f("ck_jobs_only_queued_has_position")
        ),
        sa.CheckConstraint(
            "status IN ('accepted', 'submitting', 'in_queue', 'in_progress', 'completed', 'failed', 'cancelled', 'expired')",
            name=op.f("ck_jobs_status"),
        ),
        sa.CheckConstraint(
            "waiting_for IN ('upstream_limit', 'upstream_account', 'backoff')",
            name=op.f("ck_jobs_waiting_for"),
        ),
        sa.CheckConstraint("(owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_jobs_lease")),
        sa.CheckConstraint("priority BETWEEN 0 AND 2", name=op.f("ck_jobs_priority")),
        sa.ForeignKeyConstraint(["retry_of"], ["jobs.id"], name=op.f("fk_jobs_retry_of")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_jobs_tenant_id")),
        sa.ForeignKeyConstraint(["token_id"], ["upstream_tokens.id"], name=op.f("fk_jobs_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("retry_of", name=op.f("uq_jobs_retry_of")),
        postgresql_with={
            "fillfactor": 70,
            "autovacuum_vacuum_scale_factor": 0.02,
            "autovacuum_analyze_scale_factor": 0.02,
        },
    )
    op.create_index(
        "ix_jobs_cancel_due",
        "jobs",
        ["cancel_due_at"],
        unique=False,
        postgresql_where="cancel_due_at IS NOT NULL",
    )
    op.create_index(
        "ix_jobs_expiring", "jobs", ["expires_at"], unique=False, postgresql_where="status = 'accepted'"
    )
    op.create_index(
        "ix_jobs_list",
        "jobs",
        ["tenant_id", "mode", sa.literal_column("id DESC")],
        unique=False,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_index(
        "ix_jobs_list_by_external_id",
        "jobs",
        ["tenant_id", "mode", "external_id", sa.literal_column("id DESC")],
        unique=False,
        postgresql_where="external_id IS NOT NULL",
    )
    op.create_index(
        "ix_jobs_list_by_model",
        "jobs",
        ["tenant_id", "mode", "model", sa.literal_column("id DESC")],
        unique=False,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_index(
        "ix_jobs_list_by_status",
        "jobs",
        ["tenant_id", "mode", "status", sa.literal_column("id DESC")],
        unique=False,
        postgresql_where="deleted_at IS NULL",
    )
    op.create_index(
        "ix_jobs_places",
        "jobs",
        ["token_id", "tenant_id"],
        unique=False,
        postgresql_where="token_id IS NOT NULL AND NOT (status IN ('completed', 'failed', 'cancelled', 'expired'))",
    )
    op.create_index(
        "ix_jobs_waiting",
        "jobs",
        ["tenant_id", sa.literal_column("priority DESC"), "id"],
        unique=False,
        postgresql_where="status = 'accepted'",
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "due_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("finished_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'delivering') = (owner IS NOT NULL)",
            name=op.f("ck_webhook_deliveries_owned_while_delivering"),
        ),
        sa.CheckConstraint(
            "(status IN ('delivered', 'exhausted', 'cancelled')) = (finished_at IS NOT NULL)",
            name=op.f("ck_webhook_deliveries_finished"),
        ),
        sa.CheckConstraint(
            "attempts > 0 OR status NOT IN ('delivering', 'delivered')",
            name=op.f("ck_webhook_deliveries_attempted"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'delivering', 'delivered', 'exhausted', 'held', 'cancelled')",
            name=op.f("ck_webhook_deliveries_status"),
        ),
        sa.CheckConstraint(
            "(owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_webhook_deliveries_lease")
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_webhook_deliveries_event_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_deliveries_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        postgresql_with={"fillfactor": 85, "autovacuum_vacuum_scale_factor": 0.02},
    )
    op.create_index(
        "ix_webhook_deliveries_leased",
        "webhook_deliveries",
        ["lease_until"],
        unique=False,
        postgresql_where="status = 'delivering'",
    )
    op.create_index(
        "ix_webhook_deliveries_waiting",
        "webhook_deliveries",
        ["tenant_id", "origin", "due_at"],
        unique=False,
        postgresql_where="status = 'pending'",
    )
    op.create_index(
        "uq_webhook_deliveries_event_id_url",
        "webhook_deliveries",
        ["event_id", sa.literal_column("md5(url)")],
        unique=True,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("octet_length(fingerprint) = 32", name=op.f("ck_idempotency_keys_fingerprint")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_idempotency_keys_job_id")),
        sa.PrimaryKeyConstraint("tenant_id", "mode", "key", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint("job_id", name=op.f("uq_idempotency_keys_job_id")),
    )
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column(
            "at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("data", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_job_events_sequence")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id")),
        sa.PrimaryKeyConstraint("job_id", "sequence", name=op.f("pk_job_events")),
    )
    op.create_table(
        "job_labels",
        sa.Column("job_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_job_labels_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "key", name=op.f("pk_job_labels")),
    )
    op.create_index(
        "ix_job_labels_list",
        "job_labels",
        ["tenant_id", "mode", "key", "value", sa.literal_column("job_id DESC")],
        unique=False,
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("delivery_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.UUID(), nullable=False),
        sa.Column(
            "at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["webhook_deliveries.id"], name=op.f("fk_webhook_attempts_delivery_id")
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_webhook_attempts")),
    )
    # The platform's account with the upstream: its token comes from the settings.
    op.execute("INSERT INTO upstream_tokens (id) VALUES ('00000000-0000-7000-8000-000000000001')")


def downgrade() -> None:
    op.drop_table("webhook_attempts")
    op.drop_table("job_labels")
    op.drop_table("job_events")
    op.drop_table("idempotency_keys")
    op.drop_table("webhook_deliveries")
    op.drop_index(
        "ix_jobs_places",
        table_name="jobs",
        postgresql_where="token_id IS NOT NULL AND NOT (status IN ('completed', 'failed', 'cancelled', 'expired'))",
    )
    op.drop_table("jobs")
    op.drop_table("webhook_secrets")
    op.drop_table("upstream_tokens")
    op.drop_table("events")
    op.drop_table("api_keys")
    op.drop_table("tenants")
