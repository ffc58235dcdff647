"""What is not HTTP gets a problem document too: the server refuses it before the application is asked."""

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.api.problems import MEDIA_TYPE, problem
from service.errors import BadRequestError
from service.ids import uuid7


class Protocol(HttpToolsProtocol):
    """uvicorn's, with our words for a request that cannot be parsed."""

    def send_400_response(self, msg: str) -> None:
        """Answer and close, as the server does by itself in plain text."""
        body = msgspec.json.encode(problem(BadRequestError("This is not a request of HTTP/1.1.")))
        head = (
            "HTTP/1.1 400 Bad Request\r\n"
            f"content-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(body)}\r\n"
            f"x-request-id: {uuid7()}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
