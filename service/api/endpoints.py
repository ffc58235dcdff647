"""Calls about webhook endpoints."""

from uuid import UUID

from litestar import delete, get, patch, post
from litestar.params import FromPath

from service.api import query
from service.api.accepting import Asked
from service.api.answer import UNSTORED, Answer
from service.api.auth import needs
from service.api.body import json_body, json_or_nothing
from service.api.parts import Parts
from service.api.paths import an_id
from service.webhooks import endpoints, replay
from service.webhooks.endpoint import document
from service.webhooks.forms import read_replay, read_rotation

PATH = "/v1/webhook-endpoints"


@post(PATH, before_request=needs("webhooks:write", makes_work=True))
async def register(request: Asked) -> Answer:
    """Register an endpoint."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    asked = parts.forms.read_registration(await json_body(request))
    endpoint, secret = await endpoints.register(
        parts.database, parts.vault, request.auth.tenant, asked, actor=request.auth.actor, clock=parts.clock
    )
    location = {"Location": f"{parts.public_url}{PATH}/{endpoint.id}"}
    return Answer(document(endpoint, secret=secret), status=201, headers=UNSTORED | location)


@get(PATH, before_request=needs("webhooks:read"))
async def list_endpoints(request: Asked) -> Answer:
    """List endpoints, newest first."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    found = await endpoints.every(parts.database, request.auth.tenant, clock=parts.clock)
    return Answer({"data": [document(endpoint) for endpoint in found]})


@get(PATH + "/{endpoint_id:str}", before_request=needs("webhooks:read"))
async def show_endpoint(request: Asked, endpoint_id: FromPath[str]) -> Answer:
    """Show an endpoint."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    found = await endpoints.one(parts.database, request.auth.tenant, _id(endpoint_id), clock=parts.clock)
    return Answer(document(found))


@patch(PATH + "/{endpoint_id:str}", before_request=needs("webhooks:write"))
async def change_endpoint(request: Asked, endpoint_id: FromPath[str]) -> Answer:
    """Change an endpoint."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    asked = parts.forms.read_change(await json_body(request))
    changed = await endpoints.change(
        parts.database,
        request.auth.tenant,
        _id(endpoint_id),
        asked,
        actor=request.auth.actor,
        bell=parts.bell,
        clock=parts.clock,
    )
    return Answer(document(changed))


@delete(PATH + "/{endpoint_id:str}", before_request=needs("webhooks:write"))
async def remove_endpoint(request: Asked, endpoint_id: FromPath[str]) -> None:
    """Remove an endpoint."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    await endpoints.remove(
        parts.database,
        request.auth.tenant,
        _id(endpoint_id),
        actor=request.auth.actor,
        clock=parts.clock,
    )


@post(PATH + "/{endpoint_id:str}/rotate-secret", before_request=needs("webhooks:write"))
async def rotate_secret(request: Asked, endpoint_id: FromPath[str]) -> Answer:
    """Give an endpoint a new secret."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    grace = read_rotation(await json_or_nothing(request))
    *previous, new = await endpoints.rotate_secret(
        parts.database,
        parts.vault,
        request.auth.tenant,
        _id(endpoint_id),
        grace_seconds=grace,
        actor=request.auth.actor,
        clock=parts.clock,
    )
    shown = new.document() | {"previous": [one.document(shown=False) for one in previous]}
    return Answer(shown, headers=UNSTORED)


@post(PATH + "/{endpoint_id:str}/test", before_request=needs("webhooks:write", makes_work=True))
async def test_endpoint(request: Asked, endpoint_id: FromPath[str]) -> Answer:
    """Send an endpoint a test event now."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    endpoint = await endpoints.one(parts.database, request.auth.tenant, _id(endpoint_id), clock=parts.clock)
    return Answer(await parts.trials.make(endpoint))


@post(PATH + "/{endpoint_id:str}/replay", before_request=needs("webhooks:write", makes_work=True))
async def replay_events(request: Asked, endpoint_id: FromPath[str]) -> Answer:
    """Send an endpoint again what it missed."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    window = read_replay(await json_body(request))
    replayed = await replay.replay(
        parts.database, request.auth.tenant, _id(endpoint_id), window, bell=parts.bell, clock=parts.clock
    )
    return Answer({"replayed": replayed}, status=202)


HANDLERS = [
    register,
    list_endpoints,
    show_endpoint,
    change_endpoint,
    remove_endpoint,
    rotate_secret,
    test_endpoint,
    replay_events,
]


def _id(text: str) -> UUID:
    return an_id(text, of="webhook endpoint")
