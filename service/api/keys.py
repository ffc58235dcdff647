"""Calls by which a tenant looks after its keys, and what a key looks like in answers."""

from typing import Any

from litestar import delete, get, post
from litestar.params import FromPath

from service.api import query
from service.api.accepting import Asked
from service.api.answer import UNSTORED, Answer
from service.api.auth import needs
from service.api.body import json_body
from service.api.listing import page, page_of
from service.api.parts import Parts
from service.api.paths import an_id
from service.clock import moment
from service.errors import ForbiddenError, MissingScopeError
from service.tenants import forms, issuing
from service.tenants.issuing import KeyRecord

PATH = "/v1/api-keys"


@post(PATH, before_request=needs("keys:write"))
async def create_key(request: Asked) -> Answer:
    """Make a key."""
    query.nothing(request.scope["query_string"])
    parts, asker = Parts.of(request), request.auth
    wish = forms.read_wish(await json_body(request), usual=asker.tenant.mode)
    if beyond := sorted(set(wish.scopes) - asker.scopes):
        raise MissingScopeError(f"This key lacks the scope {beyond[0]}, and cannot give it to another.")
    if asker.tenant.mode == "test" and wish.mode == "live":
        raise ForbiddenError("A test key makes test keys only.")
    async with parts.database.of_tenant(asker.tenant.id) as connection:
        made, key = await issuing.issue(connection, asker.tenant.id, wish, actor=asker.actor)
    return Answer(document(made) | {"key": key}, status=201, headers=UNSTORED)


@get(PATH, before_request=needs("keys:write"))
async def list_keys(request: Asked) -> Answer:
    """List keys, newest first."""
    asked = page_of(request.scope["query_string"])
    tenant = request.auth.tenant
    async with Parts.of(request).database.of_tenant(tenant.id) as connection:
        found = await issuing.page(
            connection,
            reach=issuing.of_tenant(tenant.id, tenant.mode),
            before=asked.before,
            limit=asked.limit + 1,
        )
    return Answer(page(found, document, limit=asked.limit))


@delete(PATH + "/{key_id:str}", before_request=needs("keys:write"))
async def revoke_key(request: Asked, key_id: FromPath[str]) -> None:
    """Revoke a key."""
    query.nothing(request.scope["query_string"])
    tenant = request.auth.tenant
    async with Parts.of(request).database.of_tenant(tenant.id) as connection:
        await issuing.revoke(
            connection,
            an_id(key_id, of="key"),
            reach=issuing.of_tenant(tenant.id, tenant.mode),
            actor=request.auth.actor,
        )


HANDLERS = [create_key, list_keys, revoke_key]


def document(key: KeyRecord) -> dict[str, Any]:
    """A key as it is shown."""
    return {
        "id": str(key.id),
        "name": key.name,
        "prefix": key.prefix,
        "mode": key.mode,
        "scopes": key.scopes,
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "last_used_at": moment(key.last_used_at),
        "revoked_at": moment(key.revoked_at),
    }
