"""Signatures as in the Standard Webhooks specification, over id, time and the very bytes sent. Pure.

`v1` is HMAC-SHA256 with a secret that the receiver has too; `v1a` is Ed25519 with a key of the service, whose
public half anyone may have. All that is live signs, so that a receiver may change to a new secret or key
whenever it likes while both live.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIX = "whsec_"
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Signer:
    """What signs for one receiver: secrets of its own and, if it wants `v1a`, keys of the service."""

    secrets: tuple[str, ...]
    keys: tuple[Ed25519PrivateKey, ...] = ()

    def sign(self, body: bytes, *, event_id: str, timestamp: int) -> str:
        """The `webhook-signature` of one attempt, whose `webhook-timestamp` is in Unix seconds."""
        return sign(body, event_id=event_id, timestamp=timestamp, secrets=self.secrets, keys=self.keys)


def new_secret() -> str:
    """A secret that nobody had before."""
    return PREFIX + base64.b64encode(os.urandom(_BYTES)).decode()


def sign(
    body: bytes,
    *,
    event_id: str,
    timestamp: int,
    secrets: Sequence[str],
    keys: Sequence[Ed25519PrivateKey] = (),
) -> str:
    """A signature of each, parted by spaces; `v1` first, since no library takes `v1a` alone."""
    signed = b"%s.%d.%s" % (event_id.encode(), timestamp, body)
    macs = [f"v1,{_mac(secret, signed)}" for secret in secrets]
    return " ".join(macs + [f"v1a,{base64.b64encode(key.sign(signed)).decode()}" for key in keys])


def jwk(key_id: str, public: bytes) -> dict[str, str]:
    """A public key as it is published (RFC 8037)."""
    x = base64.urlsafe_b64encode(public).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key_id, "x": x}


def _mac(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
