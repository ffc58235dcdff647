"""The OpenAPI document says what is true."""

from typing import Any

import httpx
import jsonschema_rs

from service.api import create_app
from service.settings import Settings


def schema(document: dict[str, Any], name: str) -> jsonschema_rs.Draft202012Validator:
    """The named schema, with the references in it."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    )


async def test_it_describes_every_call_and_nothing_else(
    stranger: httpx.AsyncClient, new_settings: Any
) -> None:
    settings: Settings = new_settings()
    document = (await stranger.get("/schema/openapi.json")).json()

    served = {
        (route.path_format, method.lower())
        for route in create_app(settings).routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS" and not route.path.startswith("/schema")
    }
    described = {
        (path, method)
        for path, calls in document["paths"].items()
        for method in calls
        if method != "parameters"
    }
    assert described == served


async def test_answers_are_as_described(api: httpx.AsyncClient) -> None:
    document = (await api.get("/schema/openapi.json")).json()
    request = {"input": {"prompt": "x", "image_urls": ["https://pictures.example/a.png"]}}

    job = (await api.post("/v1/jobs", json=request)).json()
    problem = (await api.post("/v1/jobs", json={})).json()
    url = f"/v1/jobs/{job['id']}"

    schema(document, "Request").validate(request)
    schema(document, "Job").validate(job)
    schema(document, "Job").validate((await api.post(f"{url}/cancel")).json())
    schema(document, "Page").validate((await api.get("/v1/jobs")).json())
    schema(document, "Timeline").validate((await api.get(f"{url}/events")).json())
    schema(document, "Health").validate((await api.get("/health/ready")).json())
    schema(document, "Problem").validate(problem)
    assert list(job) == list(document["components"]["schemas"]["Job"]["properties"])


async def test_a_key_is_described_as_it_is_checked(api: httpx.AsyncClient) -> None:
    document = (await api.get("/schema/openapi.json")).json()
    [parameter] = document["paths"]["/v1/jobs"]["post"]["parameters"]
    described = jsonschema_rs.Draft202012Validator(parameter["schema"])

    assert parameter["name"] == "Idempotency-Key"
    assert [described.is_valid(key) for key in ("!", "~" * 255, "", "a b", "a" * 256, "ü")] == [
        True,
        True,
    ] + [False] * 4
