"""Signatures as in the Standard Webhooks specification: HMAC-SHA256 over id, time and the very bytes sent.

Every live secret signs, so that a receiver may change to a new one whenever it likes while both live.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """A secret that nobody had before."""
    return PREFIX + base64.b64encode(os.urandom(_BYTES)).decode()


def sign(body: bytes, *, event_id: str, timestamp: int, secrets: Sequence[str]) -> str:
    """The `webhook-signature` of one attempt; `timestamp` is its `webhook-timestamp`, in Unix seconds."""
    signed = b"%s.%d.%s" % (event_id.encode(), timestamp, body)
    return " ".join(f"v1,{_mac(secret, signed)}" for secret in secrets)


def _mac(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
