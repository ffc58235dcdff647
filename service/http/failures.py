"""The two ways a request can fail, told apart for certain, since a submit costs money.

A `NotSentError` may be repeated at will. After an `UnansweredError` nobody knows what the other side
has done with the request.
"""

import os
import socket
import ssl
from enum import StrEnum

import httpx


class Phase(StrEnum):
    """What was going on when it failed."""

    POOL = "pool"  # waiting for one of the transport's connections
    RESOLVE = "resolve"
    JUDGE = "judge"  # an address of the name is not to be called
    CONNECT = "connect"
    TLS = "tls"
    TOO_LATE = "too_late"  # `not_after` had passed before the first byte
    WRITE = "write"
    READ = "read"


class NotSentError(httpx.ConnectError):
    """Not one byte of the request was handed to the network."""

    def __init__(self, phase: Phase, reason: str) -> None:
        super().__init__(f"not sent ({phase}): {reason}")
        self.phase = phase
        self.reason = reason


class UnansweredError(httpx.ReadError):
    """The request was written, perhaps in part, and no complete answer came."""

    def __init__(self, phase: Phase, reason: str) -> None:
        super().__init__(f"unanswered ({phase}): {reason}")
        self.phase = phase
        self.reason = reason


def reason_of(error: Exception) -> str:
    """What happened, in a line for people."""
    if isinstance(error, OSError) and (text := error.strerror):
        # What asyncio puts there for an errno of the system names addresses.
        own = isinstance(error, ssl.SSLError | socket.gaierror)
        return text if own or not error.errno else os.strerror(error.errno)
    return f"{type(error).__name__}: {error}".rstrip(": ")[:300]


def passed(deadline: float) -> str:
    """The reason of all that took too long."""
    return f"the deadline of {deadline:g} s passed"
