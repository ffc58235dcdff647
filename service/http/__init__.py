"""HTTP to others: a client of our own, which says for certain what has not been sent."""

from service.http.answer import Answer, Origin
from service.http.connector import Judge, Resolve
from service.http.failures import NotSentError, Phase, UnansweredError
from service.http.retry_after import retry_after
from service.http.transport import Transport, options
from service.http.wire import fields, line

__all__ = [
    "Answer",
    "Judge",
    "NotSentError",
    "Origin",
    "Phase",
    "Resolve",
    "Transport",
    "UnansweredError",
    "fields",
    "line",
    "options",
    "retry_after",
]
