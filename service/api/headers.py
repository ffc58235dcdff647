"""Headers of a request, without building a mapping of all of them."""

from litestar.types import Scope

from service.errors import BadRequestError


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of that header; `name` in lower case."""
    for given, value in scope["headers"]:
        if given == name:
            return value.decode("latin-1")
    return None


def only(scope: Scope, name: bytes) -> str | None:
    """The value of a header that decides: given twice, a proxy may have read the other one.

    Raises BadRequestError.
    """
    values = [value for given, value in scope["headers"] if given == name]
    if len(values) > 1:
        raise BadRequestError(f"The header {name.decode().title()} can be given once.")
    return values[0].decode("latin-1") if values else None


def accepts(scope: Scope, media_type: str) -> bool:
    """Whether the caller takes an answer of this type (RFC 9110, 12.5.1); without a word it takes all."""
    wanted = header(scope, b"accept")
    if not wanted:
        return True
    ranges = {part.partition(";")[0].strip().lower() for part in wanted.split(",")}
    return not ranges.isdisjoint({media_type, media_type.partition("/")[0] + "/*", "*/*"})
