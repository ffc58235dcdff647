"""Calls for operators of the platform: tenants, their limits and accounts, and who changed what."""

from typing import Any, TypeAlias
from uuid import UUID

from litestar import Request, delete, get, patch, post, put
from litestar.params import FromPath

from service.api import query
from service.api.answer import UNSTORED, Answer
from service.api.auth import operator
from service.api.body import json_body
from service.api.listing import page, page_of, page_of_log
from service.api.parts import Parts
from service.api.paths import an_id
from service.api.tenant import document
from service.clock import moment
from service.ids import uuid7
from service.jobs.store.in_use import in_use
from service.tenants import accounts, audit, forms, store
from service.tenants.audit import Entry
from service.tenants.tenant import Operator
from service.webhooks import secrets

PATH = "/v1/admin/tenants"

ByOperator: TypeAlias = Request[Any, Operator, Any]


@post(PATH, before_request=operator)
async def create_tenant(request: ByOperator) -> Answer:
    """Add a tenant; its signing secret is shown once."""
    query.nothing(request.scope["query_string"])
    parts, tenant_id = Parts.of(request), uuid7()
    name, limits = forms.read_tenant(await json_body(request))
    async with parts.database.of_operator(tenant_id) as connection:
        await store.create(connection, name, tenant_id=tenant_id, limits=limits, actor=request.auth.actor)
        secret = await secrets.issue(connection, parts.vault, tenant_id)
        made = await store.one(connection, tenant_id)
    location = {"Location": f"{parts.public_url}{PATH}/{tenant_id}"}
    shown = document(made) | {"signing_secret": secret}
    return Answer(shown, status=201, headers=UNSTORED | location)


@get(PATH, before_request=operator)
async def list_tenants(request: ByOperator) -> Answer:
    """List tenants, newest first."""
    asked = page_of(request.scope["query_string"])
    async with Parts.of(request).database.of_operator() as connection:
        found = await store.page(connection, before=asked.before, limit=asked.limit + 1)
    return Answer(page(found, document, limit=asked.limit))


@get(PATH + "/{tenant_id:str}", before_request=operator)
async def show_any_tenant(request: ByOperator, tenant_id: FromPath[str]) -> Answer:
    """Show a tenant, its limits and what it uses of them."""
    query.nothing(request.scope["query_string"])
    return await _shown(request, a_tenant(tenant_id))


@patch(PATH + "/{tenant_id:str}", before_request=operator)
async def change_tenant(request: ByOperator, tenant_id: FromPath[str]) -> Answer:
    """Change a tenant's limits or name, disable it or enable it."""
    query.nothing(request.scope["query_string"])
    found, actor = a_tenant(tenant_id), request.auth.actor
    asked = forms.read_change(await json_body(request))
    async with Parts.of(request).database.of_operator() as connection:
        await store.change(connection, found, limits=asked.limits, name=asked.name, actor=actor)
        if asked.disabled is not None:
            switch = store.disable if asked.disabled else store.enable
            await switch(connection, found, actor=actor)
    return await _shown(request, found)


@put(PATH + "/{tenant_id:str}/upstream-token", status_code=204, before_request=operator)
async def set_upstream_token(request: ByOperator, tenant_id: FromPath[str]) -> None:
    """Give a tenant a token of the upstream of its own, or another one."""
    query.nothing(request.scope["query_string"])
    parts, found = Parts.of(request), a_tenant(tenant_id)
    token, max_in_flight = forms.read_token(await json_body(request))
    async with parts.database.of_operator() as connection:
        await accounts.entrust(
            connection,
            parts.vault,
            found,
            token=token,
            max_in_flight=max_in_flight,
            actor=request.auth.actor,
        )


@delete(PATH + "/{tenant_id:str}/upstream-token", before_request=operator)
async def remove_upstream_token(request: ByOperator, tenant_id: FromPath[str]) -> None:
    """Let a tenant use the platform's token again."""
    query.nothing(request.scope["query_string"])
    async with Parts.of(request).database.of_operator() as connection:
        await accounts.withdraw(connection, a_tenant(tenant_id), actor=request.auth.actor)


@get("/v1/admin/audit-log", before_request=operator)
async def show_audit_log(request: ByOperator) -> Answer:
    """Show who changed what, newest first."""
    asked = page_of_log(request.scope["query_string"])
    async with Parts.of(request).database.of_operator() as connection:
        found = await audit.page(
            connection, tenant_id=asked.tenant_id, before=asked.before, limit=asked.limit + 1
        )
    return Answer(page(found, _entry, limit=asked.limit))


HANDLERS = [
    create_tenant,
    list_tenants,
    show_any_tenant,
    change_tenant,
    set_upstream_token,
    remove_upstream_token,
    show_audit_log,
]


def a_tenant(text: str) -> UUID:
    """The id of a tenant."""
    return an_id(text, of="tenant")


async def _shown(request: ByOperator, tenant_id: UUID) -> Answer:
    async with Parts.of(request).database.of_operator(tenant_id) as connection:
        found = await store.one(connection, tenant_id)
        return Answer(document(found, used=await in_use(connection, tenant_id)))


def _entry(change: Entry) -> dict[str, Any]:
    return {
        "id": str(change.id),
        "at": moment(change.at),
        "tenant_id": change.tenant_id and str(change.tenant_id),
        "actor": change.actor,
        "action": change.action,
        "data": change.data,
    }
