"""Secrets at rest: AES-256-GCM, each bound to the row that holds it.

A sealed secret names the key it was sealed with, so that keys can be rotated: the first of the configured
keys seals, all of them open. Bound means that a ciphertext copied into another row does not open there.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_FINGERPRINT = 4
_NONCE = 12


class UnreadableSecretError(Exception):
    """A stored secret cannot be opened: its key is not configured, or it was put into another row."""


class Vault:
    """Seals and opens with one or more 256-bit keys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {hashlib.sha256(key).digest()[:_FINGERPRINT]: AESGCM(key) for key in keys}
        self._current = next(iter(self._ciphers))

    @classmethod
    def from_text(cls, text: str) -> "Vault":
        """Read comma-separated base64 keys, the current one first; ValueError says what is wrong."""
        keys = []
        for part in text.split(","):
            try:
                key = base64.b64decode(part.strip(), validate=True)
            except binascii.Error:
                raise ValueError("must be base64") from None
            if len(key) != 32:
                raise ValueError(f"each key must be 32 bytes, and one is {len(key)}")
            keys.append(key)
        return cls(keys)

    @property
    def mark(self) -> bytes:
        """What everything begins with that the current key has sealed."""
        return _VERSION + self._current

    def seal(self, secret: bytes, *, row: UUID) -> bytes:
        """Encrypt for the row with this id."""
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self._current].encrypt(nonce, secret, row.bytes)
        return self.mark + nonce + sealed

    def open(self, sealed: bytes, *, row: UUID) -> bytes:
        """Decrypt what was sealed for this row; raises UnreadableSecretError."""
        fingerprint, rest = sealed[1 : 1 + _FINGERPRINT], sealed[1 + _FINGERPRINT :]
        cipher = self._ciphers.get(fingerprint)
        if sealed[:1] != _VERSION or cipher is None:
            raise UnreadableSecretError(f"secret of {row}: none of the keys in SECRET_KEY sealed it")
        try:
            return cipher.decrypt(rest[:_NONCE], rest[_NONCE:], row.bytes)
        except InvalidTag:
            raise UnreadableSecretError(f"secret of {row}: it was not sealed for this row") from None
