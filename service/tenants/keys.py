"""What an API key looks like: `ej_live_` + 43 random characters + a checksum of 6.

256 random bits in base 62, then the CRC-32 of everything before it: a secret scanner can be sure of a hit,
and a typing error is caught without asking the database. A tenant's keys begin with their mode, and an
operator's with `ej_admin_`.
"""

import hashlib
import secrets
import zlib
from typing import Literal

Mode = Literal["live", "test"]
MODES: tuple[Mode, ...] = ("live", "test")
SCOPES = ("jobs:read", "jobs:write", "webhooks:read", "webhooks:write", "keys:write")
ADMIN = "admin"
"""The only scope of an operator's key, and of no tenant's."""

PREFIX_SHOWN = 12
"""So many first characters of a key may be shown: they name its mode and a few of its 43 random ones."""

_KINDS = tuple(f"ej_{kind}_" for kind in (*MODES, ADMIN))
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET = 43
_CHECKSUM = 6


def new(kind: Mode | Literal["admin"]) -> str:
    """A key that nobody had before."""
    body = f"ej_{kind}_{_base62(secrets.randbits(256), width=_SECRET)}"
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether this can be a key at all."""
    body, checksum = key[:-_CHECKSUM], key[-_CHECKSUM:]
    return (
        any(body.startswith(kind) and len(body) == len(kind) + _SECRET for kind in _KINDS)
        and key.isascii()
        and checksum == _checksum(body)
    )


def hashed(key: str) -> bytes:
    """What is stored. The key is random, so nothing slower than SHA-256 is needed to protect it."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), width=_CHECKSUM)


def _base62(number: int, *, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
