"""Who asks, by the bearer key (RFC 6750), and whether the key allows it."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request

from service.api import limits
from service.api.headers import only
from service.api.parts import Parts
from service.errors import MissingScopeError, TenantDisabledError, UnauthorizedError
from service.tenants.keys import ADMIN
from service.tenants.tenant import Key, Operator

Check = Callable[[Request[Any, Any, Any]], Awaitable[None]]


def needs(scope: str, *, makes_work: bool = False) -> Check:
    """For a handler's `before_request`: the key must have this scope, and is then the request's `auth`.

    What makes work is refused to a disabled tenant. Not one of the framework's guards: for each of those it
    copies the handler at every request.
    """

    async def check(request: Request[Any, Any, Any]) -> None:
        key = await _tenants_key(request)
        if scope not in key.scopes:
            raise MissingScopeError(f"This key lacks the scope {scope}.")
        if makes_work and key.is_of_disabled:
            raise TenantDisabledError("This tenant is disabled. What was accepted before goes on.")
        request.scope["auth"] = key

    _SCOPES[check] = scope
    return check


async def any_key(request: Request[Any, Any, Any]) -> None:
    """The same for a handler that any key of a tenant may call."""
    request.scope["auth"] = await _tenants_key(request)


async def operator(request: Request[Any, Any, Any]) -> None:
    """The same for a handler that only operators may call."""
    key = await _key(request)
    if not isinstance(key, Operator):
        raise MissingScopeError(f"This key lacks the scope {ADMIN}.")
    request.scope["auth"] = key


def scope_of(check: Any) -> str | None:
    """What a key needs for handlers with this check: "" if any will do, None if there need not be one."""
    return None if check is None else _SCOPES[check]


_SCOPES: dict[Check, str] = {any_key: "", operator: ADMIN}


async def _tenants_key(request: Request[Any, Any, Any]) -> Key:
    key = await _key(request)
    if not isinstance(key, Key):
        raise MissingScopeError("This is an operator's key: it has no tenant, and no scope but admin.")
    await limits.count(request, key)
    return key


async def _key(request: Request[Any, Any, Any]) -> Key | Operator:
    given = only(request.scope, b"authorization")
    if given is None:
        raise UnauthorizedError("Send your key in the header Authorization: Bearer <key>.")
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorizedError("The header Authorization has to read: Bearer <key>.")
    return await Parts.of(request).keyring.check(token.strip())
