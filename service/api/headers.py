"""Headers of a request, without building a mapping of all of them."""

from litestar.types import Scope


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of that header; `name` in lower case."""
    for given, value in scope["headers"]:
        if given == name:
            return value.decode("latin-1")
    return None


def accepts(scope: Scope, media_type: str) -> bool:
    """Whether the caller takes an answer of this type (RFC 9110, 12.5.1); without a word it takes all."""
    wanted = header(scope, b"accept")
    if wanted is None:
        return True
    ranges = {part.partition(";")[0].strip().lower() for part in wanted.split(",")}
    return not ranges.isdisjoint({media_type, media_type.partition("/")[0] + "/*", "*/*"})
