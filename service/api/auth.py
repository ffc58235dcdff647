"""Who asks, by the bearer key (RFC 6750), and whether the key allows it."""

from collections.abc import Awaitable, Callable

from litestar.handlers import BaseRouteHandler

from service.api.headers import header
from service.api.parts import Connected, Parts
from service.errors import ForbiddenError, UnauthorizedError


def allows(scope: str) -> Callable[[Connected, BaseRouteHandler], Awaitable[None]]:
    """A guard for calls that need this scope; the checked key is then the request's `auth`."""

    async def guard(connection: Connected, _: BaseRouteHandler) -> None:
        key = await Parts.of(connection).keyring.check(_token(connection))
        if scope not in key.scopes:
            raise ForbiddenError(f"This key lacks the scope {scope}.")
        connection.scope["auth"] = key

    return guard


def _token(connection: Connected) -> str:
    given = header(connection.scope, b"authorization")
    if given is None:
        raise UnauthorizedError("Send your key in the header Authorization: Bearer <key>.")
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorizedError("The header Authorization has to read: Bearer <key>.")
    return token.strip()
