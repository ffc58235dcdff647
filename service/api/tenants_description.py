"""Calls about keys and tenants in the API's own description: paths, and the schemas they name."""

from typing import Any

from service.api.describing import (
    COUNT,
    ID,
    OBJECT,
    TEXT,
    TIME,
    URL,
    answer,
    call,
    header,
    in_path,
    list_of,
    or_null,
    query,
    record,
    ref,
)
from service.api.listing import CURSOR, LIMIT
from service.errors import AlreadyExpiredError, ForbiddenError, LimitReachedError, NameTakenError
from service.jobs.store.in_use import InUse
from service.tenants.forms import CHANGE, TENANT, TOKEN, WISH
from service.tenants.keys import MODES, SCOPES
from service.tenants.store import LIMITS

_PAGE = (LIMIT, CURSOR)
_GONE = {"204": {"description": "It is so; also if it was before."}}
_LOCATION = {"Location": header("Its URL.", URL)}
_OF_KEY = in_path("key_id", "The key's id.", ID)
_OF_TENANT = in_path("tenant_id", "The tenant's id.", ID)


def paths() -> dict[str, Any]:
    """All paths."""
    tenant, keys = answer("The tenant.", "Tenant"), answer("A page, newest first.", "Keys")
    new_key = answer("The key, shown once.", "NewKey")
    return {
        "/v1/tenant": {"get": call("Show the tenant, its limits and what it uses of them", {"200": tenant})},
        "/v1/api-keys": {
            "post": call(
                "Make a key",
                {"201": new_key},
                refused=(403, ForbiddenError, LimitReachedError, AlreadyExpiredError),
                body="KeyRequest",
                description="Of at most the scopes and the mode of the key that asks.",
            ),
            "get": call("List keys", {"200": keys}, parameters=_PAGE),
        },
        "/v1/api-keys/{key_id}": {
            "delete": call("Revoke a key", _GONE, refused=(404,)),
            "parameters": [_OF_KEY],
        },
        **_operators(tenant, keys, new_key),
    }


def schemas() -> dict[str, Any]:
    """What the paths refer to."""
    key = {
        "id": ID,
        "name": TEXT,
        "prefix": TEXT | {"description": "The beginning, by which people recognise it."},
        "mode": {"enum": list(MODES)},
        "scopes": {"type": "array", "minItems": 1, "items": {"enum": list(SCOPES)}},
        "created_at": TIME,
        "expires_at": or_null(TIME),
        "last_used_at": or_null(TIME | {"description": "To within a minute."}),
        "revoked_at": or_null(TIME),
    }
    own_token = record(
        max_in_flight={"type": "integer", "minimum": 1}, trouble=or_null(TEXT), trouble_since=or_null(TIME)
    )
    tenant = {
        "id": ID,
        "name": TEXT,
        "created_at": TIME,
        "disabled_at": or_null(TIME | {"description": "Nothing more is accepted from then on."}),
        "limits": record(
            **{limit: _between(least, most) for limit, (least, most) in LIMITS.items()},
        ),
        "upstream_token": or_null(own_token | {"description": "Of its own; else it uses the platform's."}),
    }
    shown = record(**tenant)
    shown["properties"] = shown["properties"] | {
        "in_use": record(**dict.fromkeys(InUse.__slots__, COUNT)),
        "mode": {"enum": list(MODES), "description": "The mode of the key that asks."},
    }
    change = record(id=ID, at=TIME, tenant_id=or_null(ID), actor=TEXT, action=TEXT, data=OBJECT)
    return {
        "KeyRequest": WISH.document,
        "TenantRequest": TENANT.document,
        "TenantChange": CHANGE.document,
        "UpstreamToken": TOKEN.document,
        "Key": record(**key),
        "NewKey": record(**key, key=_SECRET_KEY),
        "Keys": _page("Key"),
        "Tenant": shown,
        "NewTenant": record(**tenant, signing_secret=_SIGNING_SECRET),
        "Tenants": _page("Tenant"),
        "AuditLog": record(data=list_of(change), next_cursor=or_null(TEXT)),
    }


def _operators(tenant: dict[str, Any], keys: dict[str, Any], new_key: dict[str, Any]) -> dict[str, Any]:
    made = answer("The tenant, with its secret, shown once.", "NewTenant", headers=_LOCATION)
    of_anyone = query("tenant_id", "Only what concerns this tenant.", ID)
    one = "/v1/admin/tenants/{tenant_id}"
    return {
        "/v1/admin/tenants": {
            "post": call("Add a tenant", {"201": made}, refused=(NameTakenError,), body="TenantRequest"),
            "get": call(
                "List tenants", {"200": answer("A page, newest first.", "Tenants")}, parameters=_PAGE
            ),
        },
        one: {
            "get": call("Show a tenant and what it uses", {"200": tenant}, refused=(404,)),
            "patch": call(
                "Change, disable or enable a tenant",
                {"200": tenant},
                refused=(404, NameTakenError),
                body="TenantChange",
            ),
            "parameters": [_OF_TENANT],
        },
        f"{one}/upstream-token": {
            "put": call(
                "Give a tenant a token of the upstream of its own, or another one",
                {"204": {"description": "It is sealed, and not shown again."}},
                refused=(404,),
                body="UpstreamToken",
            ),
            "delete": call(
                "Let a tenant use the platform's token again; jobs under way with its own expire",
                _GONE,
                refused=(404,),
            ),
            "parameters": [_OF_TENANT],
        },
        f"{one}/keys": {
            "post": call(
                "Make a key for a tenant",
                {"201": new_key},
                refused=(404, LimitReachedError, AlreadyExpiredError),
                body="KeyRequest",
            ),
            "get": call("List a tenant's keys", {"200": keys}, refused=(404,), parameters=_PAGE),
            "parameters": [_OF_TENANT],
        },
        f"{one}/keys/{{key_id}}": {
            "delete": call("Revoke a tenant's key", _GONE, refused=(404,)),
            "parameters": [_OF_TENANT, _OF_KEY],
        },
        "/v1/admin/audit-log": {
            "get": call(
                "Show who changed what",
                {"200": answer("A page, newest first.", "AuditLog")},
                parameters=(of_anyone, *_PAGE),
            )
        },
    }


def _between(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _page(schema: str) -> dict[str, Any]:
    return record(data=list_of(ref(schema)), next_cursor=or_null(TEXT))


_SECRET_KEY = {
    "type": "string",
    "pattern": "^ej_(live|test)_[0-9A-Za-z]{49}$",
    "examples": [f"ej_live_{'0' * 49}"],
}
_SIGNING_SECRET = {"type": "string", "pattern": "^whsec_", "examples": [f"whsec_{'A' * 43}="]}
