"""The OpenAPI document says what is true, and all of it."""

import html
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest
from litestar import Litestar
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy import text

from service.database import Database
from service.ids import uuid7
from service.jobs.lifecycle import TOLD_EVENTS
from service.tenants.keys import SCOPES
from service.tenants.tenant import Tenant

NewKey = Callable[..., Awaitable[str]]
KINDS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@pytest.fixture
def document(app: Litestar) -> dict[str, Any]:
    described: dict[str, Any] = msgspec.json.decode(app.state.parts.description())
    return described


def described_calls(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            if method in KINDS:
                yield path, method, told


def whole(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to."""
    while "$ref" in node:
        found: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Of the schema, with what it refers to in it."""
    return jsonschema_rs.Draft202012Validator(
        {"allOf": [schema], "components": document["components"]}, validate_formats=True
    )


def schema(document: dict[str, Any], name: str) -> jsonschema_rs.Draft202012Validator:
    return validator(document, {"$ref": f"#/components/schemas/{name}"})


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where there is one, and how each body of a request or an answer is described."""
    events = [(name, "event", event["post"]) for name, event in document["webhooks"].items()]
    for path, method, told in [*described_calls(document), *events]:
        if "requestBody" in told:
            yield f"{method} {path}", told["requestBody"]["content"]
        for status, answer in told["responses"].items():
            yield f"{method} {path} {status}", whole(document, answer).get("content", {})


def test_it_is_openapi(document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_it_describes_every_call_and_nothing_else(document: dict[str, Any], app: Litestar) -> None:
    served = {
        (route.path_format, method.lower())
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS"
    }
    assert {(path, method) for path, method, _ in described_calls(document)} == served


def test_every_call_has_what_readers_look_for(document: dict[str, Any]) -> None:
    told = [told for *_, told in described_calls(document)]
    ids = [one["operationId"] for one in told]
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert len(set(ids)) == len(ids)
    assert all(one["summary"] and tags[one["tags"][0]] for one in told)
    for one in told:
        for status, answer in one["responses"].items():
            headers = whole(document, answer)["headers"]
            assert "X-Request-Id" in headers
            assert ("WWW-Authenticate" in headers) == (status in ("401", "403"))
            assert ("Retry-After" in headers) == (status in ("429", "503"))


def test_every_body_has_an_example_and_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    for where, content in bodies(document):
        for media_type, told in content.items():
            named = whole(document, told["schema"])
            examples = [example["value"] for example in told.get("examples", {}).values()]
            examples += [told["example"]] if "example" in told else []
            examples = examples or named.get("examples", [])
            assert examples or media_type.startswith(("text/", "image/")), where
            for example in examples:
                validator(document, told["schema"]).validate(example)
    for name, named in document["components"]["schemas"].items():
        for example in named.get("examples", []):
            schema(document, name).validate(example)
    for parameter in parameters(document):
        if "example" in parameter:
            validator(document, parameter["schema"]).validate(parameter["example"])


def parameters(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.get("parameters", [])
    for *_, told in described_calls(document):
        yield from told.get("parameters", [])
    for event in document["webhooks"].values():
        yield from event["post"]["parameters"]


async def test_answers_are_as_described(api: httpx.AsyncClient, document: dict[str, Any]) -> None:
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


async def test_what_is_told_is_as_described(
    api: httpx.AsyncClient, document: dict[str, Any], database: Database
) -> None:
    body = {
        "input": {"prompt": "x", "image_urls": ["https://pictures.example/a.png"]},
        "callback_url": "https://example.com/hook",
    }
    job = (await api.post("/v1/jobs", json=body)).json()
    await api.post(f"/v1/jobs/{job['id']}/cancel")
    async with database.statement() as connection:
        told = msgspec.json.decode((await connection.execute(text("SELECT body FROM events"))).scalar_one())

    assert list(document["webhooks"]) == [*TOLD_EVENTS, "webhook.test"]
    schema(document, "Event").validate(told)
    fields = document["components"]["schemas"]["ToldJob"]
    assert set(told["data"]) == set(fields["required"])
    assert set(fields["properties"]) - set(fields["required"]) == {"truncated"}


async def test_a_key_needs_the_scope_that_is_described(
    stranger: httpx.AsyncClient, document: dict[str, Any], tenant: Tenant, new_key: NewKey
) -> None:
    for path, method, told in described_calls(document):
        url = path.format(**dict.fromkeys(("model_id",), "none")) if "model_id" in path else path
        for name in (part[1:-1] for part in url.split("/") if part.startswith("{")):
            url = url.replace(f"{{{name}}}", str(uuid7()))
        without = await stranger.request(method, url)
        needed = [scope for need in told["security"] for scope in need["key"]]
        assert (without.status_code == 401) == bool(told["security"]), url
        if needed and "admin" not in needed:
            others = tuple(scope for scope in SCOPES if scope not in needed)
            headers = {"Authorization": f"Bearer {await new_key(tenant, scopes=others)}"}
            assert (await stranger.request(method, url, headers=headers)).status_code == 403, url


def test_only_what_tenants_ask_is_described_as_counted(document: dict[str, Any]) -> None:
    for path, method, told in described_calls(document):
        headers = {
            name
            for answer in told["responses"].values()
            for name in whole(document, answer).get("headers", ())
        }
        is_counted = {"key": ["admin"]} not in told["security"] and told["security"] != []
        assert ("429" in told["responses"], "RateLimit-Limit" in headers) == (is_counted, is_counted), (
            f"{method} {path}"
        )


async def test_a_key_is_described_as_it_is_checked(document: dict[str, Any]) -> None:
    [parameter] = document["paths"]["/v1/jobs"]["post"]["parameters"]
    described = jsonschema_rs.Draft202012Validator(parameter["schema"])

    assert parameter["name"] == "Idempotency-Key"
    assert [described.is_valid(key) for key in ("!", "~" * 255, "", "a b", "a" * 256, "ü")] == [
        True,
        True,
    ] + [False] * 4


async def test_the_page_shows_every_call_and_fetches_nothing(
    stranger: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    answer = await stranger.get("/schema")
    page = answer.text

    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    for path, _, told in described_calls(document):
        assert path in page
        assert html.escape(told["summary"]) in page
    assert all(f"<code>{event}</code>" in page for event in document["webhooks"])
    assert not [mark for mark in ("<script", "<link", "<img", "src=", "url(", "@import") if mark in page]
    fetched = {part.partition('"')[0] for part in page.split('href="')[1:]}
    assert {link for link in fetched if not link.startswith("#")} == {"/schema/openapi.json"}
    anchors = {part.partition('"')[0] for part in page.split('id="')[1:]}
    assert {link[1:] for link in fetched if link.startswith("#")} <= anchors
