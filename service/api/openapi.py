"""The API's own description (OpenAPI 3.1), made of the very schemas that bodies are held against."""

from typing import Any

import service
from service.api import (
    batch_description,
    jobs_description,
    pictures_description,
    runcomfy_description,
    tenants_description,
    usage_description,
)
from service.api.describing import OBJECT, PROBLEM, PROBLEM_ANSWER, RATE_HEADERS, TEXT, answer
from service.schema import Schema


def document(request: Schema, *, public_url: str) -> dict[str, Any]:
    """The description; `request` is the schema of a request for a job."""
    about_jobs = jobs_description.schemas(request)
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
            **batch_description.paths(),
            **usage_description.paths(),
            **runcomfy_description.paths(request.document["properties"]["callback_url"]),
            **tenants_description.paths(),
            **pictures_description.paths(),
            "/health/live": {"get": _health("Whether the process lives")},
            "/health/ready": {"get": _health("Whether it can do its work", refused=(503,))},
            "/metrics": {"get": _METRICS},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "headers": RATE_HEADERS,
            "schemas": {
                **about_jobs,
                **batch_description.schemas(about_jobs["Request"]),
                **usage_description.schemas(),
                **runcomfy_description.schemas(),
                **tenants_description.schemas(),
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
