"""After all of it was used, no row of any table and no line of the log holds a secret in clear."""

import base64
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from harness.levers import ENDPOINTS, Levers
from sqlalchemy import text

from service.database import Database
from service.ids import uuid7
from service.webhooks import service_keys


async def test_no_secret_is_in_clear_anywhere(levers: Levers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    processors: list[Any] = [structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info]
    with structlog.testing.capture_logs(processors=processors) as lines:
        known, private = await use_all_of_it(levers)
    written = "\n".join([*map(str, lines), caplog.text])
    stored = await dump(levers.database)
    assert "delivery.attempted" in written
    assert "endpoint.tested" in written
    assert "whsec" not in stored
    assert (len(known), len(private)) == (8, 2)
    for form in (form for secret in known for form in forms(secret)):
        assert form not in stored
        assert form not in written
    for form in (form for key in private for form in (key.hex(), base64.b64encode(key).decode())):
        assert form not in stored
        assert form not in written


async def use_all_of_it(levers: Levers) -> tuple[list[str], list[bytes]]:
    """Returns the secrets that there are then, and the private halves of the service's keys."""
    vault = levers.app.state.parts.vault
    token = f"upstream-{base64.b64encode(os.urandom(24)).decode()}"
    endpoints = [await levers.endpoint("status=500&times=1", signing="v1a"), await levers.endpoint()]
    known = [token, *(endpoint["secret"] for endpoint in endpoints)]
    known.append((await levers.api.get("/v1/signing-secret")).json()["secret"])
    async with levers.working():
        await levers.tell(url=f"{levers.hook}?own")
        await levers.logged("delivered", 3)
        for endpoint in endpoints:
            path = f"{ENDPOINTS}/{endpoint['id']}"
            known.append((await levers.api.post(f"{path}/rotate-secret")).json()["secret"])
            await levers.api.post(f"{path}/test")
        known.append((await levers.api.post("/v1/signing-secret/rotate")).json()["secret"])
        await levers.api.post(f"{ENDPOINTS}/{endpoints[0]['id']}/rotate-secret", json={"grace_seconds": -1})
    async with levers.database.transaction() as connection:
        row = uuid7()
        await connection.execute(
            text("INSERT INTO upstream_tokens (id, tenant_id, sealed, max_in_flight) VALUES (:i, :t, :s, 1)"),
            {"i": row, "t": levers.tenant.id, "s": vault.seal(token.encode(), row=row)},
        )
        await service_keys.rotate(connection, vault, grace_seconds=60, actor="test")
        private = [key.private_bytes_raw() for key in await service_keys.live(connection, vault)]
    known.append(levers.api.headers["Authorization"].removeprefix("Bearer "))
    return known, private


def forms(secret: str) -> Iterator[str]:
    """A secret as it may be written, in a column of bytes too."""
    bare = secret.removeprefix("whsec_")
    yield bare
    yield secret.encode().hex()
    yield bare.encode().hex()
    if secret != bare:
        yield base64.b64decode(bare).hex()


async def dump(database: Database) -> str:
    """Every row of every table as text; bytes are in hexadecimal there."""
    async with database.driver() as driver:
        tables = await driver.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        )
        rows = [
            row[0] for table in tables for row in await driver.fetch(f"SELECT t::text FROM {table[0]} AS t")
        ]
    assert len(tables) > 15
    return "\n".join(rows)
