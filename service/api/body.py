"""The body of a request: JSON, and nothing else."""

from typing import Any, cast

import msgspec
from litestar import Request

from service.api.headers import header
from service.errors import BadRequestError, Fault, InvalidInputError, TooLargeError, UnsupportedMediaTypeError

LARGEST_BODY = 256 * 1024
"""Bytes."""


def too_large() -> TooLargeError:
    """What is said of a body that has more."""
    return TooLargeError(f"A body may have at most {LARGEST_BODY // 1024} KiB.")


async def json_body(request: Request[Any, Any, Any]) -> object:
    """The decoded body. Raises what tells the caller why it cannot be."""
    media_type = (header(request.scope, b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        given = f", not {media_type[:100]}" if media_type else ""
        raise UnsupportedMediaTypeError(f"Send a body with the content type application/json{given}.")
    try:
        return msgspec.json.decode(await _read(request))
    except msgspec.ValidationError:
        # Good JSON, whose numbers have thousands of digits or a huge exponent.
        raise InvalidInputError.of([Fault("", "must not hold numbers beyond 64 bits")]) from None
    except RecursionError:
        raise InvalidInputError.of([Fault("", "must not be nested that deep")]) from None
    except msgspec.DecodeError as error:
        raise BadRequestError(f"The body is not JSON: {error}.") from None
    except UnicodeDecodeError:
        raise BadRequestError("The body is not JSON: it is not UTF-8.") from None


async def json_or_nothing(request: Request[Any, Any, Any]) -> object:
    """The same for a call whose body may be left out: an empty object then."""
    # RFC 9112, 6.3: a request without either has no body, whatever its content type says of one.
    length, coding = (header(request.scope, name) for name in (b"content-length", b"transfer-encoding"))
    return {} if length in (None, "0") and coding is None else await json_body(request)


async def _read(request: Request[Any, Any, Any]) -> bytes:
    """All of it, counted also where no length is announced. The framework's own way takes much longer."""
    announced = header(request.scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > LARGEST_BODY:
        raise too_large()
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            # Nobody will read this.
            raise BadRequestError("The body was cut off.")
        part = cast("bytes", message.get("body", b""))
        if len(body) + len(part) > LARGEST_BODY:
            raise too_large()
        if not message.get("more_body", False):
            return bytes(body) + part if body else part
        body += part
