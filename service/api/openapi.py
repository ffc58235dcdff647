"""The API's own description (OpenAPI 3.1), made of the very schemas that bodies are held against."""

from collections.abc import Iterable
from typing import Any

from litestar.handlers import HTTPRouteHandler

import service
from service.api import (
    batch_description,
    events_description,
    jobs_description,
    runcomfy_description,
    service_description,
    tenants_description,
    usage_description,
    webhooks_description,
    webhooks_schemas,
)
from service.api.finishing import HEADERS, finish
from service.api.refusals import PROBLEM
from service.schema import Schema
from service.webhooks.forms import Forms

_ABOUT = """\
Image edit jobs for backends: accepted over REST, told by signed webhooks.

Ask with `Authorization: Bearer <key>`. A key belongs to one tenant and reaches only what is that tenant's;
all else answers 404. Bodies are JSON of at most 256 KiB; unknown fields and unknown parameters are refused,
no text may hold the character U+0000, and an integer is written without a fraction. Errors are problem
documents (RFC 9457).

Every path answers `OPTIONS` with the methods it takes in `Allow`, and any other method with 405 and the same.
"""


def document(
    request: Schema, forms: Forms, handlers: Iterable[HTTPRouteHandler], *, public_url: str
) -> dict[str, Any]:
    """The description; `request` is the schema of a request for a job, `forms` have those about webhooks,
    `handlers` are those of all calls.
    """
    about_jobs = jobs_description.schemas(request)
    described = {
        "openapi": "3.1.0",
        "info": {
            "title": "edit-jobs",
            "version": service.__version__,
            "summary": "Image edit jobs for backends",
            "description": _ABOUT,
        },
        "servers": [{"url": public_url}],
        "security": [{"key": []}],
        "paths": {
            **jobs_description.paths(),
            **batch_description.paths(),
            **usage_description.paths(),
            **runcomfy_description.paths(request.document["properties"]["callback_url"]),
            **webhooks_description.paths(),
            **tenants_description.paths(),
            **service_description.paths(),
        },
        "webhooks": events_description.webhooks(),
        "components": {
            "securitySchemes": {"key": _KEY},
            "headers": HEADERS,
            "schemas": {
                **about_jobs,
                **batch_description.schemas(about_jobs["Request"]),
                **usage_description.schemas(),
                **runcomfy_description.schemas(),
                **webhooks_schemas.schemas(forms),
                **tenants_description.schemas(),
                **events_description.schemas(),
                **service_description.schemas(),
                "Problem": PROBLEM,
            },
        },
    }
    return finish(described, handlers)


_KEY = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "ej_live_… or ej_test_…",
    "description": "An API key. The scopes it needs stand with each call.",
}
