"""Who asks, by the bearer key (RFC 6750), and whether the key allows it."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request

from service.api.headers import only
from service.api.parts import Parts
from service.errors import ForbiddenError, UnauthorizedError


def needs(scope: str) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """For a handler's `before_request`: the key must have this scope, and is then the request's `auth`.

    Not one of the framework's guards: for each of those it copies the handler at every request.
    """

    async def check(request: Request[Any, Any, Any]) -> None:
        await any_key(request)
        if scope not in request.auth.scopes:
            raise ForbiddenError(f"This key lacks the scope {scope}.")

    return check


async def any_key(request: Request[Any, Any, Any]) -> None:
    """The same for a handler that any key may call."""
    request.scope["auth"] = await Parts.of(request).keyring.check(_token(request))


def _token(request: Request[Any, Any, Any]) -> str:
    given = only(request.scope, b"authorization")
    if given is None:
        raise UnauthorizedError("Send your key in the header Authorization: Bearer <key>.")
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorizedError("The header Authorization has to read: Bearer <key>.")
    return token.strip()
