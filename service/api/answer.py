"""An answer, sent as it is: the framework's own builds a mapping of headers for each."""

from collections.abc import Mapping
from typing import Self

import msgspec
from litestar.types import Receive, Scope, Send

UNSTORED = {"Cache-Control": "no-store"}
"""Headers of an answer with a secret in it."""


class Answer:
    """What a handler returns: a value as JSON, or bytes of any other kind."""

    __slots__ = ("_body", "_headers", "_kind", "_status")

    def __init__(self, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._body = msgspec.json.encode(value)
        self._kind = b"application/json"
        self._status = status
        self._headers = headers

    @classmethod
    def of_bytes(cls, body: bytes, media_type: str, *, headers: Mapping[str, str] | None = None) -> Self:
        """Bytes that are ready to be sent."""
        answer = cls.__new__(cls)
        answer._body, answer._kind, answer._status, answer._headers = body, media_type.encode(), 200, headers
        return answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an application of its own, which the framework hands the request on to."""
        headers = [
            (b"content-type", self._kind),
            (b"content-length", b"%d" % len(self._body)),
        ]
        if self._headers:
            headers += [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})
