"""The API's application in this process: to make one takes longer than most tests, so they are used again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from litestar import Litestar

from service.api.app import parts_for, without_parts
from service.api.parts import keep
from service.settings import Settings

_idle: list[Litestar] = []


@asynccontextmanager
async def application(settings: Settings) -> AsyncIterator[Litestar]:
    """One that nobody else uses meanwhile, with parts of its own, and without what serving runs beside."""
    app = _idle.pop() if _idle else without_parts()
    parts = parts_for(settings)
    keep(app, parts)
    try:
        yield app
    finally:
        await parts.close()
        _idle.append(app)


def client_of(app: Litestar, base_url: str) -> httpx.AsyncClient:
    """Calls it without a socket in between."""
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # each has its own words for the same messages
    return httpx.AsyncClient(transport=transport, base_url=base_url)
