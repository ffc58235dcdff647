"""The tenant's feed: every event, in the order in which they got their places, whether or not it was sent.

An event has a place once it was stamped with one, which one worker at a time does, and only after the event
was committed: whoever reads on from the last place they saw misses nothing and sees nothing twice, even where
transactions commit in another order than they began.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, select

from service.database import Database
from service.tenants.tenant import Tenant
from service.webhooks.store import EVENTS

READ_AT_ONCE = 2_000
"""Places that are looked at for one page: however rare what is asked for, a page costs no more."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A page of the feed; `last` is the place up to which it was read, whatever was found there."""

    events: list[dict[str, Any]]
    last: int
    has_more: bool


async def read(
    database: Database, tenant: Tenant, *, after: int, types: frozenset[str], limit: int
) -> Stretch:
    """The next events, oldest first. Those of deleted jobs have nothing left to tell, and are not there."""
    async with database.of_tenant_at_length(tenant.id) as connection:
        # First how far, then what: up to there nothing more can appear between the two.
        count, end = (await connection.execute(reach(tenant, after=after))).one()
        if not count:
            return Stretch([], after, has_more=False)
        wanted = found(tenant, after=after, until=end, types=types, limit=limit + 1)
        rows = (await connection.execute(wanted)).all()
    events = [_event(row) for row in rows[:limit]]
    if len(rows) > limit:
        return Stretch(events, rows[limit - 1].position, has_more=True)
    return Stretch(events, end, has_more=count == READ_AT_ONCE)


def reach(tenant: Tenant, *, after: int) -> Select[int, int]:
    """How many places are looked at, and the last of them."""
    place = EVENTS.c.position
    some = tenant.rows(EVENTS, place).where(place > after).order_by(place).limit(READ_AT_ONCE).subquery()
    return select(func.count(), func.max(some.c.position)).select_from(some)


def found(tenant: Tenant, *, after: int, until: int, types: frozenset[str], limit: int) -> Select[Any]:
    """What is there between two places."""
    seen = EVENTS.c
    events = tenant.rows(EVENTS, seen.id, seen.position, seen.body)
    events = events.where(seen.position > after, seen.position <= until, seen.body.is_not(None))
    if types:
        events = events.where(seen.type.in_(sorted(types)))
    return events.order_by(seen.position).limit(limit)


def _event(row: Row[Any]) -> dict[str, Any]:
    """The body as it is sent, and the id that is its `webhook-id`."""
    return {"id": str(row.id)} | msgspec.json.decode(row.body, type=dict[str, msgspec.Raw])
