"""The requests to one base URL, as they are sent."""

from functools import lru_cache

import httpx

from service import __version__
from service.http import Origin, fields, line

KEPT_HEADS = 1_000


class Words:
    """With a token there come thousands of requests whose headers are the same: they are written once.

    All of it raises ValueError for a token that cannot stand in a header.
    """

    def __init__(self, base_url: str) -> None:
        url = httpx.URL(base_url)
        self.origin = Origin.of(url)
        self._host, self._path = url.netloc, url.path.rstrip("/")
        self._headers = lru_cache(KEPT_HEADS)(self._headers_with)

    def get(self, path: str, *, token: str) -> bytes:
        """A whole GET. The path is already as it is to be sent."""
        return self._line(b"GET", path) + self._headers(token) + b"\r\n"

    def post(self, path: str, body: bytes = b"", *, token: str) -> bytes:
        """A whole POST; a body is JSON."""
        kind = b"content-type: application/json\r\n" if body else b""
        length = b"content-length: %d\r\n\r\n" % len(body)
        return self._line(b"POST", path) + self._headers(token) + kind + length + body

    def _line(self, method: bytes, path: str) -> bytes:
        return line(method, (self._path + path).encode("ascii"))

    def _headers_with(self, token: str) -> bytes:
        return fields(
            [
                (b"host", self._host),
                (b"authorization", b"Bearer " + token.encode()),
                (b"accept", b"application/json"),
                (b"accept-encoding", b"identity"),
                (b"user-agent", f"edit-jobs/{__version__}".encode()),
            ]
        )
