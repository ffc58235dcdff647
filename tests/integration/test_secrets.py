"""Secrets and service keys in Postgres: made, rotated, sealed anew."""

import asyncio
import os
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import text

from service.cli.sealed import TABLES, reencrypt
from service.database import Database
from service.database.sealed import Stock, examine
from service.encryption import UnreadableSecretError, Vault
from service.ids import uuid7
from service.tenants.tenant import Tenant
from service.webhooks import secrets, service_keys
from service.webhooks.keychain import Keychain
from service.webhooks.secrets import NoSecretError, Owner

OLD, NEW = os.urandom(32), os.urandom(32)
VAULT = Vault([OLD])
ADD_ENDPOINT = """
INSERT INTO webhook_endpoints (id, tenant_id, mode, url, description, events, signing)
VALUES (:id, :tenant_id, 'live', 'https://example.com/' || CAST(:id AS uuid), '', '{job.completed}', :signing)
"""


async def rotate(database: Database, owner: Owner, *, grace: float) -> list[str]:
    async with database.transaction() as connection:
        found = await secrets.rotate(connection, VAULT, owner, grace_seconds=grace, actor="test")
    return [one.secret for one in found]


async def live(database: Database, owner: Owner) -> list[str]:
    async with database.transaction() as connection:
        return [one.secret for one in await secrets.live(connection, VAULT, owner)]


async def endpoint(database: Database, tenant: Tenant, *, signing: str = "v1") -> Owner:
    endpoint_id = uuid7()
    async with database.transaction() as connection:
        await connection.execute(
            text(ADD_ENDPOINT), {"id": endpoint_id, "tenant_id": tenant.id, "signing": signing}
        )
        await secrets.issue(connection, VAULT, tenant.id, endpoint_id=endpoint_id)
    return Owner(tenant.id, endpoint_id)


async def test_both_sign_until_the_grace_is_over(database: Database, tenant: Tenant) -> None:
    owner = Owner(tenant.id)
    (first,) = await rotate(database, owner, grace=60)
    assert (await rotate(database, owner, grace=0.2))[0] == first
    async with asyncio.timeout(5):
        while len(kept := await live(database, owner)) > 1:
            await asyncio.sleep(0.01)
    assert kept != [first]


async def test_without_grace_nothing_that_was_known_before_signs_any_more(
    database: Database, tenant: Tenant
) -> None:
    owner = Owner(tenant.id)
    known = [(await rotate(database, owner, grace=60))[-1] for _ in range(3)]
    assert await live(database, owner) == known
    (fresh,) = await rotate(database, owner, grace=0)
    assert fresh not in known


async def test_a_fourth_ends_the_oldest_at_once(database: Database, tenant: Tenant) -> None:
    owner = Owner(tenant.id)
    made = [(await rotate(database, owner, grace=60))[-1] for _ in range(5)]
    assert await live(database, owner) == made[-3:]
    async with database.statement() as connection:
        stored = await connection.execute(text("SELECT count(*) FROM webhook_secrets"))
        assert stored.scalar_one() == 3


async def test_rotations_at_the_same_moment_leave_one_without_an_end(
    database: Database, tenant: Tenant
) -> None:
    owner = Owner(tenant.id)
    await asyncio.gather(*(rotate(database, owner, grace=60) for _ in range(6)))
    async with database.transaction() as connection:
        found = await secrets.live(connection, VAULT, owner)
    assert [one.expires_at is None for one in found] == [False, False, True]


async def test_an_endpoint_a_tenant_and_its_test_mode_have_secrets_of_their_own(
    database: Database, tenant: Tenant
) -> None:
    owner = await endpoint(database, tenant)
    (own,) = await rotate(database, Owner(tenant.id), grace=60)
    (endpoints,) = await live(database, owner)
    async with database.transaction() as connection:
        (test,) = await secrets.own(connection, VAULT, tenant.id, "test")
        assert await secrets.own(connection, VAULT, tenant.id, "test") == [test]
    assert len({own, endpoints, test.secret}) == 3
    await rotate(database, owner, grace=0)
    assert await live(database, Owner(tenant.id)) == [own]

    keychain = Keychain(database, VAULT)
    assert (await keychain.of(tenant.id)).secrets == (own,)
    assert (await keychain.of(tenant.id, mode="test")).secrets == (test.secret,)
    assert (await keychain.of(tenant.id, owner.endpoint_id)).secrets == tuple(await live(database, owner))


async def test_nothing_signs_for_an_endpoint_that_is_gone_or_somebody_elses(
    database: Database, tenant: Tenant
) -> None:
    owner = await endpoint(database, tenant)
    keychain = Keychain(database, VAULT)
    for tenant_id, endpoint_id in ((tenant.id, uuid4()), (uuid4(), owner.endpoint_id), (uuid4(), None)):
        with pytest.raises(NoSecretError):
            await keychain.of(tenant_id, endpoint_id)


async def test_only_an_endpoint_that_asked_for_it_gets_v1a(database: Database, tenant: Tenant) -> None:
    keychain = Keychain(database, VAULT)
    plain, both = await endpoint(database, tenant), await endpoint(database, tenant, signing="v1a")
    assert (await keychain.of(tenant.id, plain.endpoint_id)).keys == ()
    (key,) = (await keychain.of(tenant.id, both.endpoint_id)).keys
    async with database.transaction() as connection:
        (published,) = await service_keys.published(connection, VAULT)
    assert key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) == published.public


async def test_the_first_key_is_made_once_however_many_need_it(database: Database) -> None:
    async def need() -> list[service_keys.Published]:
        async with database.transaction() as connection:
            return await service_keys.published(connection, VAULT)

    answers = await asyncio.gather(*(need() for _ in range(6)))
    assert len({key.id for keys in answers for key in keys}) == 1


async def test_a_rotated_key_signs_and_is_published_until_its_grace_is_over(database: Database) -> None:
    async def rotated(grace: float) -> list[service_keys.Published]:
        async with database.transaction() as connection:
            return await service_keys.rotate(connection, VAULT, grace_seconds=grace, actor="test")

    (first,) = await rotated(60)
    both = await rotated(60)
    assert both[0] == first
    assert len(both) == 2
    async with database.transaction() as connection:
        assert len(await service_keys.live(connection, VAULT)) == 2
    assert len(await rotated(60)) == 3
    assert first not in await rotated(60)
    (only,) = await rotated(0)
    assert only not in both


async def test_everything_sealed_is_sealed_anew_in_small_steps(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = uuid7()
    async with database.transaction() as connection:
        known = [await secrets.issue(connection, VAULT, tenant.id) for _ in range(5)]
        await service_keys.rotate(connection, VAULT, grace_seconds=60, actor="test")
        await connection.execute(
            text("INSERT INTO upstream_tokens (id, tenant_id, sealed, max_in_flight) VALUES (:i, :t, :s, 1)"),
            {"i": token, "t": tenant.id, "s": VAULT.seal(b"token", row=token)},
        )
    both, new = Vault([NEW, OLD]), Vault([NEW])
    monkeypatch.setattr("service.cli.sealed.STEP", 2)
    steps: list[int] = []
    async with database.transaction() as connection:
        assert await examine(connection, both, TABLES) == Stock(stored=7, old=7, unreadable=0)
        assert await examine(connection, new, TABLES) == Stock(stored=7, old=7, unreadable=7)
    assert await reencrypt(database, new, progress=steps.append) == (0, 7)
    assert await reencrypt(database, both, progress=steps.append) == (7, 0)
    assert len(steps) > 7 / 2
    assert await reencrypt(database, both, progress=steps.append) == (0, 0)
    async with database.transaction() as connection:
        assert await examine(connection, new, TABLES) == Stock(stored=7, old=0, unreadable=0)
        assert [one.secret for one in await secrets.live(connection, new, Owner(tenant.id))] == known
        assert len(await service_keys.live(connection, new)) == 1
        sealed = await connection.execute(
            text("SELECT sealed FROM upstream_tokens WHERE id = :id"), {"id": token}
        )
        assert new.open(sealed.scalar_one(), row=token) == b"token"
        with pytest.raises(UnreadableSecretError):
            await secrets.live(connection, VAULT, Owner(tenant.id))
