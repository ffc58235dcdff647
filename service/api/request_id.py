"""Every request has an id: the caller's if it is sane, on the answer and on every line logged meanwhile."""

import re

from litestar.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from service.api import limits
from service.api.headers import header
from service.ids import uuid7

_SANE = re.compile(r"[\x21-\x7e]{1,128}")


class RequestId:
    """Around all of the application: what its router refuses gets an id too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = header(scope, b"x-request-id")
        request_id = given if given and _SANE.fullmatch(given) else str(uuid7())
        scope["state"]["request_id"] = request_id
        sent = (b"x-request-id", request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], sent, *limits.told(scope)]
            await send(message)

        with bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)


def request_id(scope: Scope) -> str:
    """The id of the request under way."""
    return str(scope["state"]["request_id"])
