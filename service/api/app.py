"""The application: made from settings, serving on its own, closing what it opened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import msgspec
from litestar import Litestar, Request, Response

from service.api import (
    admin,
    admin_keys,
    batch,
    deliveries,
    description,
    endpoints,
    health,
    jobs,
    keys,
    metrics,
    pictures,
    problems,
    runcomfy,
    runcomfy_errors,
    signing,
    tenant,
    usage,
    wall,
)
from service.api.around import Around
from service.api.body import LARGEST_BODY
from service.api.openapi import document
from service.api.options import options
from service.api.page import page
from service.api.parts import Parts, keep
from service.clock import postgres_time
from service.database import Database, head
from service.jobs.backlog import Backlog
from service.jobs.envelope import Envelope
from service.jobs.lifecycle import END_EVENTS, TOLD_EVENTS
from service.jobs.storing import Storing
from service.jobs.waiting import Line
from service.queue import Bell
from service.rates import Rates
from service.settings import Settings
from service.tenants.keyring import Keyring
from service.webhooks.forms import Forms
from service.webhooks.keychain import Keychain
from service.webhooks.trial import Trials

HANDLERS = [
    *jobs.HANDLERS,
    *batch.HANDLERS,
    *usage.HANDLERS,
    *runcomfy.HANDLERS,
    *endpoints.HANDLERS,
    *deliveries.HANDLERS,
    *signing.HANDLERS,
    tenant.show_tenant,
    *keys.HANDLERS,
    *admin.HANDLERS,
    *admin_keys.HANDLERS,
    *health.HANDLERS,
    metrics.show_metrics,
    *description.HANDLERS,
    pictures.show_picture,
]


def create_app(settings: Settings) -> Litestar:
    """Nothing is connected to before the first request: the API starts whatever else is down."""
    app = without_parts()
    keep(app, parts_for(settings))
    return app


def without_parts() -> Litestar:
    """The application, which serves with whatever parts it is given."""
    app = Litestar(
        route_handlers=[*options(HANDLERS), *HANDLERS],
        exception_handlers={Exception: _answer},
        request_max_body_size=LARGEST_BODY,
        lifespan=[_open_while_serving],
        # Its logging would write bodies, and its pages of documentation fetch from strangers.
        logging_config=None,
        openapi_config=None,
    )
    app.asgi_handler = Around(app.asgi_handler)
    return app


def parts_for(settings: Settings) -> Parts:
    """What handlers work with."""
    database = Database(settings.url_for_api)
    envelope = Envelope(
        allowed_networks=settings.webhook_allowed_networks, default_expires_in=settings.default_expires_in
    )
    forms = Forms(allowed_networks=settings.webhook_allowed_networks, events=TOLD_EVENTS, usual=END_EVENTS)
    keychain = Keychain(database, settings.vault)

    @cache
    def described() -> dict[str, Any]:
        return document(envelope.schema, forms, HANDLERS, public_url=settings.public_url)

    return Parts(
        database=database,
        keyring=Keyring(database),
        envelope=envelope,
        storing=Storing(database),
        bell=Bell(settings.redis_url),
        rates=Rates(settings.redis_url),
        backlog=Backlog(database),
        clock=postgres_time,
        vault=settings.vault,
        forms=forms,
        keychain=keychain,
        trials=Trials.connect(settings, keychain),
        line=Line(places=settings.upstream_max_in_flight, clock=postgres_time),
        public_url=settings.public_url,
        schema_version=head(),
        description=cache(lambda: msgspec.json.encode(described())),
        description_page=cache(lambda: page(described()).encode()),
    )


@asynccontextmanager
async def _open_while_serving(app: Litestar) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    beside = [asyncio.create_task(parts.keyring.run()), asyncio.create_task(wall.look(parts.database))]
    try:
        yield
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        await parts.close()


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Each interface has its own form of errors, also for what no handler was found for."""
    if runcomfy_errors.is_runcomfys(request.scope["path"]):
        return runcomfy_errors.answer(request, error)
    return problems.answer(request, error)
