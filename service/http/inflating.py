"""Undoing `Content-Encoding: gzip` and `deflate`, never to more than was asked for."""

import zlib

CODINGS = frozenset({b"gzip", b"x-gzip", b"deflate"})
"""What can be undone here; whatever else is named was not asked for."""
_GZIP_OR_ZLIB, _RAW = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS


def inflated(content: bytes, max_bytes: int) -> bytes:
    """ValueError for what is longer than so many bytes, or no such encoding."""
    try:
        plain = _inflated(content, _GZIP_OR_ZLIB, max_bytes)
    except zlib.error:
        try:
            plain = _inflated(content, _RAW, max_bytes)  # as some servers read `deflate`
        except zlib.error as error:
            raise ValueError("the answer cannot be decompressed") from error
    if len(plain) > max_bytes:
        raise ValueError(f"the answer is longer than {max_bytes} bytes")
    return plain


def _inflated(content: bytes, window: int, max_bytes: int) -> bytes:
    return zlib.decompressobj(window).decompress(content, max_bytes + 1) if content else b""
