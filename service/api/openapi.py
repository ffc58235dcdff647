"""The API's own description (OpenAPI 3.1), made of the very schemas that bodies are held against."""

from typing import Any

import service
from service.api import jobs_description, runcomfy_description, webhooks_description
from service.api.describing import OBJECT, PROBLEM, PROBLEM_ANSWER, TEXT, answer
from service.schema import Schema
from service.webhooks.forms import Forms


def document(request: Schema, forms: Forms, *, public_url: str) -> dict[str, Any]:
    """The description; `request` is the schema of a request for a job, `forms` have those about webhooks."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edit-jobs",
            "version": service.__version__,
            "description": "Image edit jobs for backends: accepted over REST, told by signed webhooks.",
        },
        "servers": [{"url": public_url}],
        "security": [{"key": []}],
        "paths": {
            **jobs_description.paths(),
            **runcomfy_description.paths(request.document["properties"]["callback_url"]),
            **webhooks_description.paths(),
            "/health/live": {"get": _health("Whether the process lives")},
            "/health/ready": {"get": _health("Whether it can do its work", refused=(503,))},
            "/metrics": {"get": _METRICS},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                **jobs_description.schemas(request),
                **runcomfy_description.schemas(),
                **webhooks_description.schemas(forms),
                "Health": OBJECT
                | {"required": ["status"], "properties": {"status": {"enum": ["ok", "degraded"]}}},
                "Problem": PROBLEM,
            },
        },
    }


def _health(summary: str, *, refused: tuple[int, ...] = ()) -> dict[str, Any]:
    problems = {str(status): PROBLEM_ANSWER for status in (500, *refused)}
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": answer("It is so.", "Health")} | problems,
    }


_METRICS = {
    "summary": "Show what Prometheus scrapes",
    "security": [],
    "responses": {
        "200": {"description": "All metrics.", "content": {"text/plain": {"schema": TEXT}}},
        "500": PROBLEM_ANSWER,
    },
}
