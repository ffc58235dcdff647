"""Everything that is stored sealed, and sealing it anew with the current key."""

from collections.abc import Callable

from service.database import Database
from service.database.sealed import reseal
from service.encryption import Vault
from service.tenants.models import TOKENS
from service.webhooks.secrets import SECRETS
from service.webhooks.service_keys import KEYS

TABLES = (SECRETS, KEYS, TOKENS)
STEP = 200
"""Rows of one transaction: nobody waits long for one of them."""


async def reencrypt(database: Database, vault: Vault, *, progress: Callable[[int], None]) -> tuple[int, int]:
    """Returns how many were sealed anew, and how many could not be opened; `progress` hears of the former."""
    resealed = unreadable = 0
    for table in TABLES:
        last = None
        while True:
            async with database.transaction() as connection:
                step = await reseal(connection, vault, table, after=last, most=STEP)
            resealed, unreadable, last = resealed + step.resealed, unreadable + step.unreadable, step.last
            if last is None:
                break
            progress(resealed)
    return resealed, unreadable
