"""The description of the API, where machines look for it."""

from typing import Any

from litestar import Request, Response, get

from service.api.parts import Parts


@get("/schema/openapi.json")
async def show_description(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI document; it needs no key."""
    return Response(Parts.of(request).description, media_type="application/json")


HANDLERS = [show_description]
