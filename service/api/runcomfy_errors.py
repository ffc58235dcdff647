"""Errors on the paths of RunComfy's interface, in its form: `{"error_code": …, "error_message": …}`.

Its codes are HTTP statuses with three more digits, 400004 being the token's, and ours go on with that.
"""

from typing import Any

import msgspec
from litestar import Request, Response

from service.api import problems
from service.errors import AcceptanceUnknownError, Fault, ServiceError, UnauthorizedError

_PATHS = ("/v1/models", "/v1/requests")
_BAD_TOKEN = 400004


def is_runcomfys(path: str) -> bool:
    """Whether the path is of RunComfy's interface, be there anything at it or not."""
    return any(path == known or path.startswith(f"{known}/") for known in _PATHS)


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """What is answered when anything was raised while answering."""
    told = problems.as_told(request, error)
    headers = problems.headers(told, error)
    status = told.status
    if isinstance(told, AcceptanceUnknownError):
        # Clients of RunComfy read a 503 with Retry-After as "not taken" and submit again, which could pay
        # twice; of any other 5xx they know that it may have been taken.
        status = 500
        headers.pop("Retry-After", None)
    code = _BAD_TOKEN if isinstance(told, UnauthorizedError) else status * 1000 + 1
    body = {"error_code": code, "error_message": _message(told)}
    return Response(
        msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers
    )


def _message(error: ServiceError) -> str:
    """With every fault: there is no other place for them here."""
    if not error.faults:
        return error.detail
    return "; ".join(f"{_name(fault)} {fault.message}" for fault in error.faults) + "."


def _name(fault: Fault) -> str:
    """The field by the name it has here: the input is the body, and `callback_url` is in the query."""
    if fault.pointer == "/callback_url":
        return "webhook"
    return fault.pointer.removeprefix("/input").removeprefix("/") or "The body"
