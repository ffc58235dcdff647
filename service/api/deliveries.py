"""Calls about what was told: the log of deliveries, and the feed of events."""

from uuid import UUID

from litestar import get, post
from litestar.params import FromPath

from service.api import query
from service.api.accepting import Asked
from service.api.answer import Answer
from service.api.auth import needs
from service.api.listing import page
from service.api.log_listing import feed_cursor, feed_listing, log_listing
from service.api.parts import Parts
from service.api.paths import an_id
from service.webhooks import feed_reader, log, replay

PATH = "/v1/webhook-deliveries"


@get(PATH, before_request=needs("webhooks:read"))
async def list_deliveries(request: Asked) -> Answer:
    """List deliveries, newest first."""
    asked = log_listing(request.scope["query_string"])
    found = await log.page(
        Parts.of(request).database,
        request.auth.tenant,
        asked.wanted,
        before=asked.before,
        limit=asked.limit + 1,
    )
    return Answer(page(found, log.document, limit=asked.limit))


@get(PATH + "/{delivery_id:str}", before_request=needs("webhooks:read"))
async def show_delivery(request: Asked, delivery_id: FromPath[str]) -> Answer:
    """Show a delivery with every attempt."""
    query.nothing(request.scope["query_string"])
    delivery, tried = await log.one(Parts.of(request).database, request.auth.tenant, _id(delivery_id))
    return Answer(log.document(delivery) | {"attempts": [log.attempt(one) for one in tried]})


@post(PATH + "/{delivery_id:str}/redeliver", before_request=needs("webhooks:write", makes_work=True))
async def redeliver(request: Asked, delivery_id: FromPath[str]) -> Answer:
    """Send a delivery once more."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    delivery = await replay.redeliver(
        parts.database, request.auth.tenant, _id(delivery_id), bell=parts.bell, clock=parts.clock
    )
    return Answer(log.document(delivery), status=202)


@get("/v1/events", before_request=needs("webhooks:read"))
async def read_feed(request: Asked) -> Answer:
    """Read the feed of events, oldest first."""
    asked = feed_listing(request.scope["query_string"])
    stretch = await feed_reader.read(
        Parts.of(request).database,
        request.auth.tenant,
        after=asked.after,
        types=asked.types,
        limit=asked.limit,
    )
    return Answer(
        {"data": stretch.events, "next_cursor": feed_cursor(stretch.last), "has_more": stretch.has_more}
    )


HANDLERS = [list_deliveries, show_delivery, redeliver, read_feed]


def _id(text: str) -> UUID:
    return an_id(text, of="webhook delivery")
