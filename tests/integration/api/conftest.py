"""The application on real Postgres and Redis, called without a socket in between."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest
from harness.applications import application, client_of
from harness.levers import Levers, levers_of
from litestar import Litestar

from service.database import Database
from service.settings import Settings
from service.tenants.issuing import Wish, issue, issue_to_operator
from service.tenants.keys import SCOPES
from service.tenants.tenant import Tenant

PUBLIC_URL = "https://jobs.example"
USUAL = {"public_url": PUBLIC_URL, "secret_key": base64.b64encode(bytes(32)).decode()}

NewKey = Callable[..., Awaitable[str]]
Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def new_settings(database_url: str, api_database_url: str, redis_url: str) -> Callable[..., Settings]:
    """Settings with what is given and else what is usual."""

    def make(**given: Any) -> Settings:
        usual = {"database_url": database_url, "api_database_url": api_database_url, "redis_url": redis_url}
        return Settings(**{**usual, **USUAL, **given})

    return make


@pytest.fixture
async def app(new_settings: Callable[..., Settings]) -> AsyncIterator[Litestar]:
    """The application as it usually is."""
    # Without its lifespan: that has to be left in the task that entered it, and a fixture is not.
    async with application(new_settings()) as app:
        yield app


@pytest.fixture
async def stranger(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with client_of(app, PUBLIC_URL) as client:
        yield client


@pytest.fixture
def serving(new_settings: Callable[..., Settings]) -> Serving:
    """Clients of applications of their own; arguments are settings."""

    @asynccontextmanager
    async def serve(**given: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with (
            application(new_settings(**given)) as app,
            app.lifespan(),
            client_of(app, PUBLIC_URL) as client,
        ):
            yield client

    return serve


@pytest.fixture
def new_key(database: Database) -> NewKey:
    """Makes a key of a tenant."""

    async def make(
        tenant: Tenant, *, scopes: tuple[str, ...] = SCOPES, expires_at: datetime | None = None
    ) -> str:
        async with database.transaction() as connection:
            wish = Wish(name="test", mode=tenant.mode, scopes=scopes, expires_at=expires_at)
            _, key = await issue(connection, tenant.id, wish, actor="test")
        return key

    return make


@pytest.fixture
async def operator(app: Litestar, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an operator's key."""
    async with database.transaction() as connection:
        _, key = await issue_to_operator(connection, Wish(name="test"), actor="test")
    async with client_of(app, PUBLIC_URL) as client:
        client.headers["Authorization"] = f"Bearer {key}"
        yield client


@pytest.fixture
async def api(stranger: httpx.AsyncClient, tenant: Tenant, new_key: NewKey) -> httpx.AsyncClient:
    """The same client with a key of `tenant` that may do everything."""
    stranger.headers["Authorization"] = f"Bearer {await new_key(tenant)}"
    return stranger


@pytest.fixture
async def levers(
    new_settings: Callable[..., Settings], database: Database, tenant: Tenant
) -> AsyncIterator[Levers]:
    """The API, a receiver that it may call, and what sends once it is asked to work."""
    settings = new_settings(
        webhook_allowed_networks="127.0.0.0/8",
        tick_seconds=0.1,
        lease_seconds=2,
        webhook_retry_schedule="0,0.2,60,60",
    )
    async with levers_of(settings, database, tenant) as made:
        yield made
