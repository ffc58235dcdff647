"""The description of the API: for people, and for machines where they look for it. Neither needs a key."""

from typing import Any

from litestar import Request, Response, get

from service.api.page import POLICY
from service.api.parts import Parts


@get("/schema")
async def show_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The page."""
    return Response(
        Parts.of(request).description_page(),
        media_type="text/html",
        headers={"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"},
    )


@get("/schema/openapi.json")
async def show_description(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The OpenAPI document."""
    return Response(Parts.of(request).description(), media_type="application/json")


HANDLERS = [show_page, show_description]
