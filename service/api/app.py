"""The application: made from settings, serving on its own, closing what it opened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from litestar import Litestar, Request, Response

from service.api import (
    deliveries,
    description,
    endpoints,
    health,
    jobs,
    metrics,
    problems,
    runcomfy,
    runcomfy_errors,
    signing,
)
from service.api.body import LARGEST_BODY
from service.api.openapi import document
from service.api.parts import Parts, keep
from service.api.request_id import RequestId
from service.clock import Clock, postgres_time
from service.database import Database, head
from service.jobs.envelope import Envelope
from service.jobs.lifecycle import END_EVENTS, TOLD_EVENTS
from service.jobs.waiting import Line
from service.queue import Bell
from service.settings import Settings
from service.tenants.keyring import Keyring
from service.webhooks.attempt import connect
from service.webhooks.forms import Forms
from service.webhooks.keychain import Keychain
from service.webhooks.trial import AT_ONCE


def create_app(settings: Settings, *, clock: Clock = postgres_time) -> Litestar:
    """Nothing is connected to before the first request: the API starts whatever else is down."""
    database = Database(settings.url_for_api)
    envelope = Envelope(
        allowed_networks=settings.webhook_allowed_networks, default_expires_in=settings.default_expires_in
    )
    forms = Forms(allowed_networks=settings.webhook_allowed_networks, events=TOLD_EVENTS, usual=END_EVENTS)
    vault = settings.vault
    parts = Parts(
        database=database,
        keyring=Keyring(database),
        envelope=envelope,
        bell=Bell(settings.redis_url),
        clock=clock,
        line=Line(places=settings.upstream_max_in_flight, clock=clock),
        forms=forms,
        vault=vault,
        keychain=Keychain(database, vault),
        webhook_deadline=settings.webhook_deadline_seconds,
        strangers=connect(connections=AT_ONCE, allowed=settings.webhook_allowed_networks),
        public_url=settings.public_url,
        schema_version=head(),
        description=msgspec.json.encode(document(envelope.schema, forms, public_url=settings.public_url)),
    )

    @asynccontextmanager
    async def open_while_serving(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await parts.close()

    app = Litestar(
        route_handlers=[
            *jobs.HANDLERS,
            *runcomfy.HANDLERS,
            *endpoints.HANDLERS,
            *deliveries.HANDLERS,
            *signing.HANDLERS,
            *health.HANDLERS,
            metrics.show_metrics,
            description.show_description,
        ],
        exception_handlers={Exception: _answer},
        request_max_body_size=LARGEST_BODY,
        lifespan=[open_while_serving],
        # Its logging would write bodies, and its pages of documentation fetch from strangers.
        logging_config=None,
        openapi_config=None,
    )
    keep(app, parts)
    app.asgi_handler = RequestId(metrics.Counted(app.asgi_handler))
    return app


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Each interface has its own form of errors, also for what no handler was found for."""
    if runcomfy_errors.is_runcomfys(request.scope["path"]):
        return runcomfy_errors.answer(request, error)
    return problems.answer(request, error)
