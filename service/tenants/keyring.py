"""Keys as they come with requests: checked against Postgres, remembered for a moment.

What a key was counts for `REMEMBERED_SECONDS` more, so that a request needs no look-up of its own, not even
with a key that ended long ago and is still in use somewhere; a key that is revoked stops working everywhere
within that time, and so does a tenant that is disabled.
Keys are found by their hash: what a caller could learn from how long that takes is nothing about any key.
"""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

from service.database import Database, is_outage
from service.errors import ExpiredKeyError, MalformedKeyError, RevokedKeyError, UnknownKeyError
from service.telemetry import log
from service.tenants import keys, lookup
from service.tenants.lookup import Found
from service.tenants.tenant import Key, Operator

REMEMBERED_SECONDS = 4.0
"""Less than the 5 s that are promised: the request that asks takes time too."""
NOTED_SECONDS = 10.0
"""Between two notes of which keys were used: never in the way of a request."""
_MOST_REMEMBERED = 10_000


class Keyring:
    """Turns the text of a key into what it allows."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[bytes, tuple[float, Found]] = {}
        self._used: set[UUID] = set()

    async def check(self, text: str) -> Key | Operator:
        """What this key is. Raises the UnauthorizedError that says what is wrong with it."""
        digest = keys.hashed(text)
        now = self._clock()
        remembered = self._known.get(digest)
        if remembered is not None and now < remembered[0]:
            return _good(remembered[1])
        if not keys.is_well_formed(text):
            raise MalformedKeyError("This is not a key of this service: it is cut off or mistyped.")
        # Among the short statements: lists and sums of some tenant may keep all other connections busy.
        async with self._database.hot_statement() as connection:
            found = await lookup.find(connection, digest)
        if found is None:
            # Not remembered: anybody can make up as many as it takes to have all others forgotten.
            raise UnknownKeyError("Nobody has this key.")
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (now + REMEMBERED_SECONDS, found)
        key = _good(found)
        # A key in use is looked up again and again, so this is enough to know of it.
        self._used.add(key.id)
        return key

    async def run(self) -> None:
        """Note which keys are used, until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(NOTED_SECONDS)
                await self.note_used()
        finally:
            await self.note_used()

    async def note_used(self) -> None:
        """Write down which keys were used since the last time; if that fails, the next time."""
        used, self._used = self._used, set()
        if not used:
            return
        try:
            async with self._database.statement() as connection:
                await lookup.note_used(connection, used)
        except Exception as error:
            self._used |= used
            if not is_outage(error):
                log.exception("keyring.fault")


def _good(found: Found) -> Key | Operator:
    match found:
        case "expired":
            raise ExpiredKeyError("This key has expired.")
        case "revoked":
            raise RevokedKeyError("This key was revoked.")
        case Key() | Operator():
            return found
