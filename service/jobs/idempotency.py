"""A request that is repeated with its `Idempotency-Key` makes one job: the first one is answered again.

What counts as the same is the interface and the body as it was sent, before defaults, its keys in any order.
Only a request that was accepted uses up its key, so a refused one can be mended and sent again.
"""

import hashlib
import re

import msgspec

from service.clock import Clock
from service.database import Database
from service.errors import BadRequestError, IdempotencyKeyReusedError
from service.jobs import reading
from service.jobs.accept import Acceptance, Bell, accept_unless_there
from service.jobs.request import Request
from service.jobs.store import reads
from service.jobs.store.accept import Once
from service.tenants.tenant import Tenant

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
LONGEST_KEY = 255
_KEY = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")


def once(key: str, *, interface: str, body: object) -> Once:
    """The key with what it stands for. Raises BadRequestError for what is no key."""
    if not _KEY.fullmatch(key):
        raise BadRequestError(f"{HEADER} must be 1 to {LONGEST_KEY} visible ASCII characters.")
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
    async with database.of_tenant(tenant.id) as connection:
        fingerprint, job_id = await reads.used_key(connection, tenant, asked.key)
    if fingerprint != asked.fingerprint:
        raise IdempotencyKeyReusedError(
            f"This {HEADER} came with another request before, for the job {job_id}."
            " Another request needs another key."
        )
    job, delivery = await reading.one(database, tenant, job_id)
    return Acceptance(job, delivery, is_new=False)
