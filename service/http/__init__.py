"""HTTP to others: httpx on our own transport, which says for certain what has not been sent."""

from service.http.connector import Judge, Resolve
from service.http.failures import NotSentError, Phase, UnansweredError
from service.http.retry_after import retry_after
from service.http.transport import Transport, options

__all__ = [
    "Judge",
    "NotSentError",
    "Phase",
    "Resolve",
    "Transport",
    "UnansweredError",
    "options",
    "retry_after",
]
