"""What can go wrong for a caller, as exceptions that carry their own answer.

Each class fixes the stable `code` and the HTTP status it is told with (RFC 9457 problem details);
its docstring is the title, so that the text a caller sees stands beside the reason it exists.
Edges turn them into problem documents or command-line messages; nothing else reads the status.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a body: where (RFC 6901 pointer, "" is the whole) and what."""

    pointer: str
    message: str


class ServiceError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        retry_after: int | None = None,
        limit: str | None = None,
    ) -> None:
        """`retry_after` is in seconds, and is sent as the header; `limit` names the limit that was hit."""
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after = retry_after
        self.limit = limit

    @classmethod
    def title(cls) -> str:
        """A short text that is the same for every occurrence."""
        return (cls.__doc__ or "").splitlines()[0].rstrip(".")


class BadRequestError(ServiceError):
    """The request cannot be read."""

    code = "bad_request"
    status = 400


class InvalidInputError(ServiceError):
    """The input is not valid."""

    code = "invalid_input"
    status = 422

    @classmethod
    def of(cls, faults: Sequence[Fault]) -> Self:
        """Tells of these faults, and of the first of them also in its text."""
        told = tuple(dict.fromkeys(faults))
        first = f"{told[0].pointer or 'The body'} {told[0].message}"
        return cls(first + (f"; {len(told)} faults in all." if len(told) > 1 else "."), faults=told)


class UnauthorizedError(ServiceError):
    """A valid API key is required."""

    code = "unauthorized"
    status = 401


class MalformedKeyError(UnauthorizedError):
    """This is not a key of this service."""

    code = "key_malformed"


class UnknownKeyError(UnauthorizedError):
    """There is no such key."""

    code = "key_unknown"


class ExpiredKeyError(UnauthorizedError):
    """The key has expired."""

    code = "key_expired"


class RevokedKeyError(UnauthorizedError):
    """The key was revoked."""

    code = "key_revoked"


class ForbiddenError(ServiceError):
    """The key does not allow this."""

    code = "forbidden"
    status = 403


class MissingScopeError(ForbiddenError):
    """The key lacks a scope."""

    code = "missing_scope"


class TenantDisabledError(ForbiddenError):
    """The tenant is disabled: nothing new is accepted."""

    code = "tenant_disabled"


class NotFoundError(ServiceError):
    """There is no such thing."""

    code = "not_found"
    status = 404


class MethodNotAllowedError(ServiceError):
    """There is such a thing, but not this method."""

    code = "method_not_allowed"
    status = 405


class NotAcceptableError(ServiceError):
    """The answer cannot be given in that form."""

    code = "not_acceptable"
    status = 406


class TooLargeError(ServiceError):
    """The body is too large."""

    code = "body_too_large"
    status = 413


class UnsupportedMediaTypeError(ServiceError):
    """The body has to be JSON."""

    code = "unsupported_media_type"
    status = 415


class NotCancellableError(ServiceError):
    """The job cannot be cancelled any more."""

    code = "not_cancellable"
    status = 409


class NotRetryableError(ServiceError):
    """The job cannot be retried."""

    code = "not_retryable"
    status = 409


class NotDeletableError(ServiceError):
    """The job cannot be deleted yet."""

    code = "not_deletable"
    status = 409


class AlreadyExpiredError(ServiceError):
    """It would have expired already."""

    code = "already_expired"
    status = 409


class NameTakenError(ServiceError):
    """The name is taken."""

    code = "name_taken"
    status = 409


class EndpointExistsError(ServiceError):
    """The URL is registered already."""

    code = "endpoint_exists"
    status = 409


class NotRedeliverableError(ServiceError):
    """The delivery cannot be made again."""

    code = "not_redeliverable"
    status = 409


class IdempotencyKeyReusedError(ServiceError):
    """The Idempotency-Key was used for another request."""

    code = "idempotency_key_reused"
    status = 422


class RateLimitedError(ServiceError):
    """Too many requests came in a second."""

    code = "rate_limited"
    status = 429
    retryable = True


class QueueFullError(ServiceError):
    """Too many jobs wait already."""

    code = "queue_full"
    status = 429
    retryable = True


class LimitReachedError(ServiceError):
    """There are as many as there may be."""

    code = "limit_reached"
    status = 429  # not retryable: one must go first, or an operator raise the limit

    def __init__(self, detail: str, *, limit: str) -> None:
        super().__init__(detail, limit=limit, retry_after=60)


class UnavailableError(ServiceError):
    """The service cannot do this right now."""

    code = "unavailable"
    status = 503
    retryable = True


class AcceptanceUnknownError(UnavailableError):
    """Nobody knows whether the job was stored."""

    # Asking again may make, and pay for, a second job.
    code = "acceptance_unknown"
    retryable = False
