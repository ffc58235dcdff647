"""Deliveries, endpoints and secrets by the command line, on a real Postgres and Redis."""

import base64
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.command import Command
from harness.levers import Levers, levers_of
from harness.world import KEY
from sqlalchemy import text

from service.cli.who import actor
from service.clock import moment
from service.database import Database
from service.settings import Settings
from service.tenants.tenant import Tenant

pytestmark = pytest.mark.usefixtures("logging_kept")


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key=KEY,
        webhook_allowed_networks="127.0.0.0/8",
        webhook_retry_schedule="0",
        tick_seconds=0.1,
    )


@pytest.fixture
def run(run: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Its receivers are on this machine."""
    monkeypatch.setenv("EDIT_JOBS_WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8")
    return run


@pytest.fixture
async def levers(settings: Settings, database: Database, tenant: Tenant) -> AsyncIterator[Levers]:
    async with levers_of(settings, database, tenant) as made:
        yield made


async def test_a_delivery_is_found_looked_at_and_sent_again(
    run: Command, levers: Levers, another_tenant: Any
) -> None:
    await another_tenant("idle")
    endpoint = await levers.endpoint("status=500&times=1")
    events = [await levers.tell() for _ in range(2)]
    async with levers.working():
        await levers.logged("exhausted", 2)

    listed = await run.decoded("deliveries", "list", "--status", "exhausted", "--tenant", "acme")
    assert [(one["tenant"], one["delivery"]["event_id"]) for one in listed] == [
        ("acme", str(event.id)) for event in reversed(events)
    ]
    assert await run.decoded("deliveries", "list", "--tenant", "idle") == []
    assert len(await run.decoded("deliveries", "list", "--limit", "1")) == 1
    table = (await run("deliveries", "list")).stdout.splitlines()
    assert [line.split()[1:3] for line in table[1:]] == [["acme", "exhausted"]] * 2

    delivery_id = listed[0]["delivery"]["id"]
    shown = await run.decoded("deliveries", "show", delivery_id)
    assert [one["status_code"] for one in shown["attempts"]] == [500]
    assert "HTTP 500" in (await run("deliveries", "show", delivery_id)).stdout
    async with levers.working():
        assert (await run.decoded("deliveries", "redeliver", delivery_id))["status"] == "pending"
        await levers.logged("delivered")
    assert len(await levers.came(endpoint, 3)) == 3
    (entry,) = await run.decoded("audit", "--limit", "1")
    assert (entry["tenant"], entry["actor"], entry["action"], entry["data"]) == (
        "acme", actor(), "delivery.redelivery_requested", {"delivery_id": delivery_id},
    )  # fmt: skip


async def test_an_endpoint_is_found_tested_enabled_and_replayed(run: Command, levers: Levers) -> None:
    endpoint = await levers.endpoint()
    await levers.change(endpoint, enabled=False)
    await levers.tell()
    (listed,) = await run.decoded("endpoints", "list")
    assert (listed["tenant"], listed["endpoint"]["status"]) == ("acme", "disabled")
    assert "disabled (asked)" in (await run("endpoints", "list", "--tenant", "acme")).stdout

    assert (await run.decoded("endpoints", "test", endpoint["id"]))["status_code"] == 204
    assert "answered 204" in (await run("endpoints", "test", endpoint["id"])).stdout
    assert (await run.decoded("endpoints", "enable", endpoint["id"]))["enabled"] is True
    since = moment(datetime.now(UTC) - timedelta(hours=1))
    assert await run.decoded("endpoints", "replay", endpoint["id"], "--since", since) == {"replayed": 1}
    again = await run("endpoints", "replay", endpoint["id"], "--since", since, "--status", "delivered")
    assert again.stdout == "0 events are on their way.\n"
    replayed, _, enabled = await run.decoded("audit", "--limit", "3")
    assert (replayed["action"], enabled["action"]) == ("endpoint.replay_requested", "endpoint.enabled")
    assert replayed["actor"] == enabled["actor"] == actor()
    assert replayed["data"] == {"endpoint_id": endpoint["id"]}
    wrong = await run("endpoints", "replay", endpoint["id"], "--since", "yesterday")
    assert wrong.exit_code == 1
    assert "/since" in wrong.stderr


async def test_what_is_not_there_or_does_not_answer_is_told(run: Command, levers: Levers) -> None:
    nobody = "01890a5d-ac96-774b-bcce-b302099a8057"
    for command in (
        ("deliveries", "show", nobody), ("deliveries", "redeliver", nobody), ("endpoints", "test", nobody),
        ("endpoints", "enable", nobody), ("deliveries", "list", "--tenant", "nobody"),
    ):  # fmt: skip
        result = await run(*command)
        assert result.exit_code == 1, command
        assert "There is no" in result.stderr
    assert (await run("deliveries", "list", "--status", "lost")).exit_code == 2
    endpoint = await levers.endpoint("status=503&times=9")
    failed = await run("endpoints", "test", endpoint["id"])
    assert failed.exit_code == 1
    assert "HTTP 503" in failed.stderr


async def test_secrets_are_sealed_anew_and_the_doctor_says_when_that_is_due(
    run: Command, levers: Levers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await levers.endpoint(signing="v1a")
    fresh = base64.b64encode(os.urandom(32)).decode()
    monkeypatch.setenv("EDIT_JOBS_SECRET_KEY", fresh)
    lost = await run("secrets", "reencrypt")
    assert (lost.exit_code, "3 secrets cannot be opened" in lost.stderr) == (1, True)
    monkeypatch.setenv("EDIT_JOBS_SECRET_KEY", f"{fresh},{KEY}")
    assert "3 of them with an old key" in (await run("doctor")).stdout
    assert await run.decoded("secrets", "reencrypt") == {"resealed": 3, "unreadable": 0}
    monkeypatch.setenv("EDIT_JOBS_SECRET_KEY", fresh)
    assert "opens all 3 stored secrets" in (await run("doctor")).stdout
    assert (await run("secrets", "reencrypt")).stdout.startswith("Sealed 0 secrets anew")


async def test_a_signing_key_is_rotated_and_both_are_published(run: Command, levers: Levers) -> None:
    (before,) = (await levers.api.get("/.well-known/webhook-keys.json")).json()["keys"]
    made = await run.decoded("secrets", "rotate-signing-key")
    (entry,) = await run.decoded("audit", "--limit", "1")
    assert (entry["action"], entry["data"]["key_id"]) == ("signing_key.rotated", made["id"])
    assert made["in_force"] == [before["kid"], made["id"]]
    (only,) = (await run.decoded("secrets", "rotate-signing-key", "--grace-seconds", "0"))["in_force"]
    async with levers.database.statement() as connection:
        stored = await connection.execute(text("SELECT count(*) FROM webhook_keys WHERE expires_at IS NULL"))
        assert stored.scalar_one() == 1
    assert only not in made["in_force"]
