"""What is not HTTP gets a problem document too: the server refuses it before the application is asked."""

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.problems import MEDIA_TYPE, problem
from service.errors import BadRequestError
from service.ids import uuid7

LARGEST_HEAD = 65_536
"""Bytes of a request that are not its body. The parser keeps them until they are complete, whoever asks."""


class Protocol(HttpToolsProtocol):
    """uvicorn's, with our words for a request that cannot be parsed, and an end to one that has none."""

    _head = 0

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless too much came that is no body."""
        # Before it is parsed: where a request begins in the middle of it, counting begins there.
        self._head += len(data)
        super().data_received(data)
        if self._head > LARGEST_HEAD and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self._refuse(f"A request may have at most {LARGEST_HEAD // 1024} KiB beside its body.")
            else:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Count anew."""
        self._head = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Whoever reads the body counts that."""
        self._head -= len(body)
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer and close, as the server does by itself in plain text."""
        self._refuse("This is not a request of HTTP/1.1.")

    def _refuse(self, why: str) -> None:
        body = msgspec.json.encode(problem(BadRequestError(why)))
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            f"x-request-id: {uuid7()}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
