"""How a request is written down: its line and its headers, which nothing given can split."""

import re
from collections.abc import Iterable

import httpx

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_UNSPLIT = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch
_TARGET = re.compile(rb"[\x21-\x7e]+").fullmatch
_NOT_PASSED_ON = frozenset({b"accept-encoding", b"transfer-encoding"})


def head_of(request: httpx.Request, *, accepts: bytes) -> bytes:
    """The head of a request whose body is complete. Raises ValueError for what cannot be written."""
    headers = [pair for pair in request.headers.raw if pair[0].lower() not in _NOT_PASSED_ON]
    headers.append((b"accept-encoding", accepts))
    return line(request.method.encode("ascii"), request.url.raw_path) + fields(headers) + b"\r\n"


def line(method: bytes, target: bytes) -> bytes:
    """The first line; the target, path and query, is sent as it is."""
    if not _TOKEN(method) or not _TARGET(target):
        raise ValueError("this is not a method and a path")
    return method + b" " + target + b" HTTP/1.1\r\n"


def fields(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The headers. ValueError for a name that is none, or a value that would end its line."""
    lines = []
    for name, value in headers:
        if not _TOKEN(name) or not _UNSPLIT(value):
            raise ValueError(f"the header {name[:100]!r} cannot be sent")
        lines.append(name + b": " + value + b"\r\n")
    return b"".join(lines)
