"""Keys as they come with requests: checked against Postgres, remembered for a moment.

A key that was good counts as good for `REMEMBERED_SECONDS` more, so that a request needs no look-up of its
own; a key that is revoked stops working everywhere within that time.
"""

import time

from service.database import Database
from service.errors import UnauthorizedError
from service.tenants import keys, store
from service.tenants.tenant import Key

REMEMBERED_SECONDS = 5.0
_MOST_REMEMBERED = 10_000


class Keyring:
    """Turns the text of a key into what it allows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[float, Key]] = {}

    async def check(self, text: str) -> Key:
        """Whose key this is; raises UnauthorizedError."""
        if not keys.is_well_formed(text):
            raise UnauthorizedError("This is not a key of this service: it is cut off or mistyped.")
        digest = keys.hashed(text)
        now = time.monotonic()
        until, key = self._known.get(digest, (0.0, None))
        if key is None or until < now:
            key = await self._look_up(digest)
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[digest] = (now + REMEMBERED_SECONDS, key)
        return key

    async def _look_up(self, digest: bytes) -> Key:
        async with self._database.statement() as connection:
            key = await store.find_key(connection, digest)
        if key is None:
            raise UnauthorizedError("This key is not known, has expired or was revoked.")
        return key
