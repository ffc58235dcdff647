"""A request that is repeated with its `Idempotency-Key` makes one job: the first one is answered again.

What counts as the same is the interface and the body as it was sent, before defaults, its keys in any order.
Only a request that was accepted uses up its key, so a refused one can be mended and sent again.
"""

import hashlib
import re

import msgspec

from service.bell import Bell
from service.clock import Clock
from service.database import Database
from service.errors import BadRequestError, IdempotencyKeyReusedError
from service.jobs import reading
from service.jobs.accept import Acceptance, accept_unless_there
from service.jobs.request import Request
from service.jobs.store import reads
from service.jobs.store.accept import Once
from service.jobs.store.reads import UsedKey
from service.tenants.tenant import Tenant

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
LONGEST_KEY = 255
MUST_BE = f"must be 1 to {LONGEST_KEY} visible ASCII characters"
_KEY = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")


def is_key(key: str) -> bool:
    """Whether this can be a key."""
    return _KEY.fullmatch(key) is not None


def once(key: str, *, interface: str, body: object) -> Once:
    """The key with what it stands for. Raises BadRequestError for what is no key."""
    if not is_key(key):
        raise BadRequestError(f"{HEADER} {MUST_BE}.")
    written = msgspec.json.encode([interface, body], order="sorted")
    return Once(key, hashlib.sha256(written).digest())


async def accept_once(
    database: Database, tenant: Tenant, request: Request, asked: Once, *, bell: Bell, clock: Clock
) -> Acceptance:
    """Accept the request, or answer with the job that its key made before, as that is now.

    Raises IdempotencyKeyReusedError if the key was for another request, and NotFoundError if its job was
    deleted: the key still stands for that one, and makes no second.
    """
    job = await accept_unless_there(database, tenant, request, once=asked, bell=bell, clock=clock)
    if job is not None:
        return Acceptance(job, delivery=None, is_new=True)
    before = await accepted_before(database, tenant, asked)
    assert before is not None, "a key that is in use is kept for longer than this takes"
    return before


async def accepted_before(database: Database, tenant: Tenant, asked: Once) -> Acceptance | None:
    """The job that the key made before, as it is now; None if it has made none. Raises as `accept_once`."""
    async with database.of_tenant(tenant.id) as connection:
        used = (await reads.used_keys(connection, tenant, [asked.key])).get(asked.key)
    if used is None:
        return None
    check_same(used, asked)
    job, delivery = await reading.one(database, tenant, used.job_id)
    return Acceptance(job, delivery, is_new=False)


def check_same(used: UsedKey, asked: Once) -> None:
    """Raises IdempotencyKeyReusedError if the key was for another request."""
    if used.fingerprint != asked.fingerprint:
        raise IdempotencyKeyReusedError(
            f"This {HEADER} came with another request before, for the job {used.job_id}."
            " Another request needs another key."
        )
