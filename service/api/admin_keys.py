"""Calls by which operators look after a tenant's keys: somebody has to make the first."""

from litestar import delete, get, post
from litestar.params import FromPath

from service.api import query
from service.api.admin import PATH, ByOperator, a_tenant
from service.api.answer import UNSTORED, Answer
from service.api.auth import operator
from service.api.body import json_body
from service.api.keys import document
from service.api.listing import page, page_of
from service.api.parts import Parts
from service.api.paths import an_id
from service.tenants import forms, issuing, store


@post(PATH + "/{tenant_id:str}/keys", before_request=operator)
async def create_tenants_key(request: ByOperator, tenant_id: FromPath[str]) -> Answer:
    """Make a key for a tenant."""
    query.nothing(request.scope["query_string"])
    found = a_tenant(tenant_id)
    wish = forms.read_wish(await json_body(request), usual="live")
    async with Parts.of(request).database.of_operator() as connection:
        await store.one(connection, found)
        made, key = await issuing.issue(connection, found, wish, actor=request.auth.actor)
    return Answer(document(made) | {"key": key}, status=201, headers=UNSTORED)


@get(PATH + "/{tenant_id:str}/keys", before_request=operator)
async def list_tenants_keys(request: ByOperator, tenant_id: FromPath[str]) -> Answer:
    """List a tenant's keys, newest first."""
    asked, found = page_of(request.scope["query_string"]), a_tenant(tenant_id)
    async with Parts.of(request).database.of_operator() as connection:
        await store.one(connection, found)
        there_are = await issuing.page(
            connection, reach=issuing.of_tenant(found), before=asked.before, limit=asked.limit + 1
        )
    return Answer(page(there_are, document, limit=asked.limit))


@delete(PATH + "/{tenant_id:str}/keys/{key_id:str}", before_request=operator)
async def revoke_tenants_key(request: ByOperator, tenant_id: FromPath[str], key_id: FromPath[str]) -> None:
    """Revoke a tenant's key."""
    query.nothing(request.scope["query_string"])
    async with Parts.of(request).database.of_operator() as connection:
        await issuing.revoke(
            connection,
            an_id(key_id, of="key"),
            reach=issuing.of_tenant(a_tenant(tenant_id)),
            actor=request.auth.actor,
        )


HANDLERS = [create_tenants_key, list_tenants_keys, revoke_tenants_key]
