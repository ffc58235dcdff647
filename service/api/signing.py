"""Calls about what signs: the tenant's own secret, and the service's public keys."""

from typing import Any

from litestar import Request, get, post

from service.api import query
from service.api.accepting import Asked
from service.api.answer import UNSTORED, Answer
from service.api.auth import needs
from service.api.body import json_or_nothing
from service.api.parts import Parts
from service.errors import NotFoundError
from service.webhooks import secrets
from service.webhooks.forms import read_rotation
from service.webhooks.secrets import Owner, Secret
from service.webhooks.signing import jwk

PUBLISHED = "/.well-known/webhook-keys.json"
FRESH_SECONDS = 300
"""For how long others may keep the published keys. A new one signs at once, but beside the one before."""


@get("/v1/signing-secret", before_request=needs("webhooks:write"))
async def show_secret(request: Asked) -> Answer:
    """Show the secret that signs what goes to a callback URL."""
    query.nothing(request.scope["query_string"])
    parts, tenant = Parts.of(request), request.auth.tenant
    async with parts.database.of_tenant(tenant.id) as connection:
        return _shown(await secrets.own(connection, parts.vault, tenant.id, tenant.mode))


@post("/v1/signing-secret/rotate", before_request=needs("webhooks:write"))
async def rotate_own_secret(request: Asked) -> Answer:
    """Give the tenant a new secret."""
    query.nothing(request.scope["query_string"])
    parts, tenant = Parts.of(request), request.auth.tenant
    grace = read_rotation(await json_or_nothing(request))
    async with parts.database.of_tenant(tenant.id) as connection:
        owner = Owner(tenant.id, mode=tenant.mode)
        found = await secrets.rotate(
            connection, parts.vault, owner, grace_seconds=grace, actor=request.auth.actor
        )
    return _shown(found)


@get(PUBLISHED)
async def show_keys(request: Request[Any, Any, Any]) -> Answer:
    """Publish the keys that verify `v1a` signatures; it needs no key."""
    query.nothing(request.scope["query_string"])
    keys = await Parts.of(request).keychain.published()
    headers = {"Cache-Control": f"public, max-age={FRESH_SECONDS}"}
    return Answer({"keys": [jwk(str(key.id), key.public) for key in keys]}, headers=headers)


HANDLERS = [show_secret, rotate_own_secret, show_keys]


def _shown(found: list[Secret]) -> Answer:
    if not found:
        raise NotFoundError("There is no signing secret yet: rotate it to get one.")
    *previous, new = found
    shown = new.document() | {"previous": [one.document() for one in previous]}
    return Answer(shown, headers=UNSTORED)
