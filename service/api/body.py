"""The body of a request: JSON, and nothing else."""

from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from service.api.headers import header
from service.errors import BadRequestError, Fault, TooLargeError, UnsupportedMediaTypeError
from service.schema.faults import invalid

LARGEST_BODY = 256 * 1024
"""Bytes; the application hands it to the framework, which counts also where no length is announced."""


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
        return msgspec.json.decode(await request.body())
    except InternalServerException:
        # The framework's word for a caller that went away meanwhile: nobody will read this.
        raise BadRequestError("The body was cut off.") from None
    except msgspec.ValidationError:
        # Good JSON, whose numbers have thousands of digits or a huge exponent.
        raise invalid([Fault("", "must not hold numbers beyond 64 bits")]) from None
    except RecursionError:
        raise invalid([Fault("", "must not be nested that deep")]) from None
    except msgspec.DecodeError as error:
        raise BadRequestError(f"The body is not JSON: {error}.") from None
    except UnicodeDecodeError:
        raise BadRequestError("The body is not JSON: it is not UTF-8.") from None


async def json_or_nothing(request: Request[Any, Any, Any]) -> object:
    """The same for a call whose body may be left out: an empty object then."""
    return await json_body(request) if await request.body() else {}
