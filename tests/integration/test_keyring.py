"""How long a key counts as what it was, and what is noted of its use."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from service.database import Database
from service.errors import ExpiredKeyError, MalformedKeyError, RevokedKeyError, UnknownKeyError
from service.tenants import issuing, keys, store
from service.tenants.issuing import Wish
from service.tenants.keyring import REMEMBERED_SECONDS, Keyring
from service.tenants.tenant import Key, Limits, Operator, Tenant

EXPIRED = text("UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = :id")
UNREVOKED = text("UPDATE api_keys SET revoked_at = NULL WHERE id = :id")
LAST_USED = text("SELECT last_used_at FROM api_keys WHERE id = :id")


class Ring:
    """A keyring of a process of the API, whose clock the test moves."""

    def __init__(self, database: Database) -> None:
        self.now = 1000.0
        self.keyring = Keyring(database, clock=lambda: self.now)

    async def check(self, text: str, *, after: float = 0.0) -> Key | Operator:
        self.now += after
        return await self.keyring.check(text)


@pytest.fixture
async def api(api_database_url: str) -> AsyncIterator[Database]:
    pool = Database(api_database_url, connections=2)
    yield pool
    await pool.close()


@pytest.fixture
def ring(api: Database) -> Ring:
    return Ring(api)


async def issued(database: Database, tenant: Tenant, **wish: object) -> tuple[issuing.KeyRecord, str]:
    async with database.transaction() as connection:
        asked = Wish(**({"mode": tenant.mode, "scopes": ("jobs:read",)} | wish))  # type: ignore[arg-type]
        return await issuing.issue(connection, tenant.id, asked, actor="test")


async def test_a_key_is_what_it_was_made_as_with_what_its_tenant_may_use(
    ring: Ring, database: Database, tenant: Tenant
) -> None:
    made, text_of_key = await issued(database, tenant, scopes=("jobs:read", "keys:write"))
    found = await ring.check(text_of_key)
    assert found == Key(
        id=made.id,
        tenant=tenant,
        scopes=frozenset({"jobs:read", "keys:write"}),
        limits=Limits(
            max_in_flight=1000,
            max_queued=100_000,
            requests_per_second=1000,
            max_endpoints=20,
            max_keys=100,
            weight=1,
        ),
        is_of_disabled=False,
    )


async def test_an_operators_key_has_no_tenant(ring: Ring, database: Database) -> None:
    async with database.transaction() as connection:
        made, text_of_key = await issuing.issue_to_operator(connection, Wish(name="me"), actor="test")
    assert await ring.check(text_of_key) == Operator(made.id)


async def test_each_thing_that_is_wrong_with_a_key_is_told(
    ring: Ring, database: Database, tenant: Tenant
) -> None:
    expired, expired_text = await issued(database, tenant, expires_at=datetime.now(UTC) + timedelta(hours=1))
    revoked, revoked_text = await issued(database, tenant)
    async with database.transaction() as connection:
        await connection.execute(EXPIRED, {"id": expired.id})
        await issuing.revoke(connection, revoked.id, reach=issuing.anybodys(), actor="test")
    for wrong, error in (
        (revoked_text[:-1], MalformedKeyError),
        (revoked_text.replace("ej_live_", "ej_test_"), MalformedKeyError),
        ("", MalformedKeyError),
        ("ü" * 57, MalformedKeyError),
        (keys.new("live"), UnknownKeyError),
        (expired_text, ExpiredKeyError),
        (revoked_text, RevokedKeyError),
    ):
        with pytest.raises(error):
            await ring.check(wrong)


async def test_a_key_is_looked_up_again_before_five_seconds_are_over_and_not_at_once(
    ring: Ring, database: Database, tenant: Tenant
) -> None:
    made, text_of_key = await issued(database, tenant)
    assert REMEMBERED_SECONDS <= 4.5, "some of the five seconds is for the request itself"
    await ring.check(text_of_key)
    async with database.transaction() as connection:
        await issuing.revoke(connection, made.id, reach=issuing.anybodys(), actor="test")
        await store.change(connection, tenant.id, limits={"max_keys": 7}, actor="test")
        await store.disable(connection, tenant.id, actor="test")
    # That it still counts as good shows that it was not looked up.
    known = await ring.check(text_of_key, after=REMEMBERED_SECONDS - 0.001)
    assert isinstance(known, Key)
    assert (known.limits.max_keys, known.is_of_disabled) == (100, False)
    with pytest.raises(RevokedKeyError):
        await ring.check(text_of_key, after=0.001)


async def test_a_key_that_ended_is_not_looked_up_at_each_request_either(
    ring: Ring, database: Database, tenant: Tenant
) -> None:
    made, text_of_key = await issued(database, tenant)
    async with database.transaction() as connection:
        await issuing.revoke(connection, made.id, reach=issuing.anybodys(), actor="test")
    with pytest.raises(RevokedKeyError):
        await ring.check(text_of_key)
    async with database.transaction() as connection:
        await connection.execute(EXPIRED, {"id": made.id})
        await connection.execute(UNREVOKED, {"id": made.id})
    # That nothing else is said of it shows that it was not looked up.
    with pytest.raises(RevokedKeyError):
        await ring.check(text_of_key, after=REMEMBERED_SECONDS - 0.001)
    with pytest.raises(ExpiredKeyError):
        await ring.check(text_of_key, after=0.001)


async def test_a_tenant_that_is_disabled_and_its_new_limits_are_seen_within_five_seconds(
    ring: Ring, database: Database, tenant: Tenant
) -> None:
    _, text_of_key = await issued(database, tenant)
    await ring.check(text_of_key)
    async with database.transaction() as connection:
        await store.change(connection, tenant.id, limits={"requests_per_second": 7}, actor="test")
        await store.disable(connection, tenant.id, actor="test")
    known = await ring.check(text_of_key, after=REMEMBERED_SECONDS)
    assert isinstance(known, Key)
    assert (known.limits.requests_per_second, known.is_of_disabled) == (7, True)


async def test_the_use_of_a_key_is_noted_once_a_minute_and_never_by_the_request(
    ring: Ring, api: Database, database: Database, tenant: Tenant
) -> None:
    made, text_of_key = await issued(database, tenant)

    async def last_used() -> datetime | None:
        async with database.transaction() as connection:
            found: datetime | None = (await connection.execute(LAST_USED, {"id": made.id})).scalar_one()
            return found

    await ring.check(text_of_key)
    assert await last_used() is None
    await ring.keyring.note_used()
    first = await last_used()
    assert first is not None

    # Another process saw it too, and this one again: still the same minute.
    other = Ring(api)
    for each in (ring, other):
        await each.check(text_of_key, after=REMEMBERED_SECONDS)
        await each.keyring.note_used()
    assert await last_used() == first
    async with database.driver() as driver:
        await driver.execute("UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds'")
    await ring.check(text_of_key, after=REMEMBERED_SECONDS)
    await ring.keyring.note_used()
    again = await last_used()
    assert again is not None
    assert again > first - timedelta(seconds=61)


async def test_a_key_is_looked_up_while_some_tenants_reads_keep_every_connection_busy(
    ring: Ring, api: Database, database: Database, tenant: Tenant
) -> None:
    _, text_of_key = await issued(database, tenant)
    async with api.of_tenant(tenant.id), api.of_tenant(tenant.id):
        assert isinstance(await ring.check(text_of_key), Key)
