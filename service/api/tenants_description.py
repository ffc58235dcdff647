"""Calls about keys and tenants in the API's own description: paths, and the schemas they name."""

from typing import Any

from service.api.describing import ID, OBJECT, TEXT, TIME, answer, call, or_null, record, ref
from service.api.listing import CURSOR, LIMIT, parameter
from service.jobs.store.in_use import InUse
from service.tenants.forms import CHANGE, TENANT, TOKEN, WISH
from service.tenants.keys import MODES, SCOPES
from service.tenants.store import LIMITS

_BODY = (413, 415, 422)
_GONE = {"204": {"description": "It is so; also if it was before."}}


def paths() -> dict[str, Any]:
    """All paths."""
    tenant, made = answer("The tenant.", "Tenant"), _at_location(answer("The key, shown once.", "NewKey"))
    of_tenant, of_key = _id("tenant_id", "The tenant's id."), _id("key_id", "The key's id.")
    page = [LIMIT, CURSOR]
    of_anyone = parameter("tenant_id", "Only what concerns this tenant.", ID)
    return {
        "/v1/tenant": {
            "get": call(
                "Show the tenant, its limits and what it uses of them", {"200": tenant}, refused=(400,)
            )
        },
        "/v1/api-keys": {
            "post": call("Make a key", {"201": made}, refused=(400, 409, *_BODY), body="KeyRequest"),
            "get": call("List keys", {"200": answer("A page, newest first.", "Keys")}, refused=(400,))
            | {"parameters": page},
        },
        "/v1/api-keys/{key_id}": {
            "get": call("Show a key", {"200": answer("The key.", "Key")}, refused=(400, 404)),
            "delete": call("Revoke a key", _GONE, refused=(400, 404)),
            "parameters": [of_key],
        },
        "/v1/admin/tenants": {
            "post": _operators(
                "Add a tenant",
                {"201": _at_location(answer("The tenant, with its secret, shown once.", "NewTenant"))},
                refused=(400, 409, *_BODY),
                body="TenantRequest",
            ),
            "get": _operators(
                "List tenants", {"200": answer("A page, newest first.", "Tenants")}, refused=(400,)
            )
            | {"parameters": page},
        },
        "/v1/admin/tenants/{tenant_id}": {
            "get": _operators("Show a tenant", {"200": tenant}, refused=(400, 404)),
            "patch": _operators(
                "Change, disable or enable a tenant",
                {"200": tenant},
                refused=(400, 404, 409, *_BODY),
                body="TenantChange",
            ),
            "parameters": [of_tenant],
        },
        "/v1/admin/tenants/{tenant_id}/upstream-token": {
            "put": _operators(
                "Give a tenant a token of the upstream of its own, or another one",
                {"204": {"description": "It is sealed, and not shown again."}},
                refused=(400, 404, *_BODY),
                body="UpstreamToken",
            ),
            "delete": _operators("Let a tenant use the platform's token again", _GONE, refused=(400, 404)),
            "parameters": [of_tenant],
        },
        "/v1/admin/tenants/{tenant_id}/keys": {
            "post": _operators(
                "Make a key for a tenant",
                {"201": answer("The key, shown once.", "NewKey")},
                refused=(400, 404, 409, *_BODY),
                body="KeyRequest",
            ),
            "get": _operators(
                "List a tenant's keys", {"200": answer("A page, newest first.", "Keys")}, refused=(400, 404)
            )
            | {"parameters": page},
            "parameters": [of_tenant],
        },
        "/v1/admin/tenants/{tenant_id}/keys/{key_id}": {
            "delete": _operators("Revoke a tenant's key", _GONE, refused=(400, 404)),
            "parameters": [of_tenant, of_key],
        },
        "/v1/admin/audit-log": {
            "get": _operators(
                "Show who changed what", {"200": answer("A page, newest first.", "AuditLog")}, refused=(400,)
            )
            | {"parameters": [of_anyone, *page]},
        },
    }


def schemas() -> dict[str, Any]:
    """What the paths refer to."""
    key = {
        "id": ID,
        "name": TEXT,
        "prefix": TEXT | {"description": "The beginning, by which people recognise it."},
        "mode": {"enum": list(MODES)},
        "scopes": {"type": "array", "items": {"enum": list(SCOPES)}},
        "created_at": TIME,
        "expires_at": or_null(TIME),
        "last_used_at": or_null(TIME | {"description": "To within a minute."}),
        "revoked_at": or_null(TIME),
    }
    tenant = {
        "id": ID,
        "name": TEXT,
        "created_at": TIME,
        "disabled_at": or_null(TIME),
        "limits": record(
            **{limit: {"type": "integer", "minimum": least} for limit, (least, _) in LIMITS.items()}
        ),
        "upstream_token": or_null(
            record(
                max_in_flight={"type": "integer", "minimum": 1},
                trouble=or_null(TEXT),
                trouble_since=or_null(TIME),
            )
        ),
    }
    shown = record(**tenant)
    shown["properties"] = shown["properties"] | {
        "in_use": record(**{name: {"type": "integer", "minimum": 0} for name in InUse.__slots__}),
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
        "AuditLog": record(data={"type": "array", "items": change}, next_cursor=or_null(TEXT)),
    }


def _operators(summary: str, answers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return call(summary, answers, **more) | {
        "description": "For operators: with a key of the scope `admin`.",
        "tags": ["operators"],
    }


def _id(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": ID}


def _page(schema: str) -> dict[str, Any]:
    return record(data={"type": "array", "items": ref(schema)}, next_cursor=or_null(TEXT))


def _at_location(answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"headers": {"Location": {"description": "Its URL.", "schema": TEXT}}}


_SECRET_KEY = {
    "type": "string",
    "pattern": "^ej_(live|test)_[0-9A-Za-z]{49}$",
    "examples": [f"ej_live_{'0' * 49}"],
}
_SIGNING_SECRET = {"type": "string", "pattern": "^whsec_", "examples": [f"whsec_{'A' * 43}="]}
