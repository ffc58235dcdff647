"""Errors as problem documents (RFC 9457): every one, the framework's own and the unforeseen too.

What was not foreseen is logged with its traceback; the answer only names the request by which to find it.
"""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from service.api.around import request_id
from service.api.body import too_large
from service.database import is_outage
from service.errors import (
    BadRequestError,
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    ServiceError,
    UnauthorizedError,
    UnavailableError,
)
from service.telemetry import log, metrics

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1


def problem(error: ServiceError) -> dict[str, Any]:
    """The document."""
    told: dict[str, Any] = {
        "type": f"urn:problem-type:edit-jobs:{error.code}",
        "title": error.title(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "retryable": error.retryable,
    }
    if error.limit is not None:
        told["limit"] = error.limit
    if error.faults:
        told["errors"] = [{"pointer": fault.pointer, "message": fault.message} for fault in error.faults]
    return told


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """What is answered when anything was raised while answering."""
    told = as_told(request, error)
    return Response(
        msgspec.json.encode(problem(told)),
        status_code=told.status,
        media_type=MEDIA_TYPE,
        headers=headers(told, error),
    )


def headers(told: ServiceError, error: Exception) -> dict[str, str]:
    """What is told beside the document."""
    headers: dict[str, str] = {}
    if isinstance(told, UnauthorizedError):
        # RFC 6750, 3.1: without any key there is nothing to name an error of.
        is_of_key = type(told) is not UnauthorizedError
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"' if is_of_key else "Bearer"
    if isinstance(told, ForbiddenError):
        headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
    if isinstance(told, MethodNotAllowedError) and isinstance(error, HTTPException):
        headers["Allow"] = _allowed(error)
    if told.retry_after is not None:
        headers["Retry-After"] = str(told.retry_after)
    return headers


def as_told(request: Request[Any, Any, Any], error: Exception) -> ServiceError:
    """The error that answers for what was raised, which is logged where a caller cannot be at fault."""
    if isinstance(error, ServiceError):
        if error.limit is not None:
            metrics.REFUSALS.labels(error.limit).inc()
        if isinstance(error, UnavailableError):
            log.warning(
                "request.unavailable", path=request.scope["path"], error=str(error.__cause__ or error)[:200]
            )
        return error
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _of_framework(error)
    if is_outage(error):
        log.warning("database.away", path=request.scope["path"], error=str(error)[:200])
        return UnavailableError("The database cannot be reached.", retry_after=RETRY_SECONDS)
    log.error("request.failed", method=request.method, path=request.scope["path"], exc_info=error)
    return ServiceError(
        f"Something went wrong here. It was logged with the request {request_id(request.scope)}."
    )


def _of_framework(error: HTTPException) -> ServiceError:
    match error.status_code:
        case 404:
            return NotFoundError("There is nothing at this path.")
        case 405:
            return MethodNotAllowedError(f"This path takes {_allowed(error)}.")
        case 413:
            return too_large()
        case _:
            return BadRequestError(error.detail)


def _allowed(error: HTTPException) -> str:
    methods = (error.headers or {}).get("allow", "")
    return ", ".join(sorted(methods.split(", ")))
