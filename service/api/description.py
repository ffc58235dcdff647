"""The description of the API: for people, and for machines where they look for it. Neither needs a key."""

from typing import Any

from litestar import Request, get

from service.api.answer import Answer
from service.api.page import POLICY
from service.api.parts import Parts


@get("/schema")
async def show_page(request: Request[Any, Any, Any]) -> Answer:
    """The page."""
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    return Answer.of_bytes(Parts.of(request).description_page(), "text/html; charset=utf-8", headers=headers)


@get("/schema/openapi.json")
async def show_description(request: Request[Any, Any, Any]) -> Answer:
    """The OpenAPI document."""
    return Answer.of_bytes(Parts.of(request).description(), "application/json")


HANDLERS = [show_page, show_description]
