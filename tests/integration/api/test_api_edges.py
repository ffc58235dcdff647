"""What holds for every call: keys, problem documents, request ids, health."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
import structlog
import uvicorn
from litestar import Litestar
from sqlalchemy import URL, make_url

from service.api import create_app
from service.api.protocol import Protocol
from service.errors import ServiceError
from service.settings import Settings
from service.tenants import keys
from service.tenants.tenant import Tenant

NewKey = Callable[..., Awaitable[str]]
Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]

JOB = "/v1/jobs/01890a5d-ac96-774b-bcce-b302099a8057"
CALLS = [
    ("POST", "/v1/jobs", "jobs:write"),
    ("GET", "/v1/jobs", "jobs:read"),
    ("GET", JOB, "jobs:read"),
    ("POST", f"{JOB}/cancel", "jobs:write"),
    ("POST", f"{JOB}/retry", "jobs:write"),
    ("DELETE", JOB, "jobs:write"),
    ("GET", f"{JOB}/events", "jobs:read"),
]
GOOD_BODY = b'{"input": {"prompt": "x", "image_urls": ["https://a.example/1.png"]}}'
MISTYPED = keys.new("live")[:-1]


async def test_no_call_is_answered_without_a_key(stranger: httpx.AsyncClient) -> None:
    missing = ({}, *({"Authorization": text} for text in ("", "Bearer", "Basic abc")))
    malformed = ({"Authorization": f"Bearer {text}"} for text in ("abc", MISTYPED))
    given = [
        *((headers, "unauthorized", "Bearer") for headers in missing),
        *((headers, "key_malformed", 'Bearer error="invalid_token"') for headers in malformed),
    ]
    for method, path, _ in CALLS:
        for headers, code, challenge in given:
            response = await stranger.request(method, path, headers=headers)

            assert (response.status_code, response.json()["code"]) == (401, code), headers
            assert response.headers["WWW-Authenticate"] == challenge
            assert response.headers["Content-Type"] == "application/problem+json"


async def test_a_key_that_nobody_made_is_refused(stranger: httpx.AsyncClient) -> None:
    response = await stranger.get("/v1/jobs", headers={"Authorization": f"Bearer {keys.new('live')}"})

    assert (response.status_code, response.json()["code"]) == (401, "key_unknown")


async def test_a_key_without_the_scope_is_refused_by_naming_it(
    stranger: httpx.AsyncClient, tenant: Tenant, new_key: NewKey
) -> None:
    for method, path, scope in CALLS:
        key = await new_key(tenant, scopes=tuple(other for other in keys.SCOPES if other != scope))
        response = await stranger.request(method, path, headers={"Authorization": f"Bearer {key}"})

        assert (response.status_code, response.json()["code"]) == (403, "missing_scope")
        assert response.json()["detail"] == f"This key lacks the scope {scope}."


async def test_an_unknown_path_is_a_problem_too(stranger: httpx.AsyncClient) -> None:
    for path in ("/", "/v2/jobs", "/v1/jobs/a/b/c", "/%2e%2e/etc", "/favicon.ico"):
        response = await stranger.get(path)

        assert response.headers["Content-Type"] == "application/problem+json"
        assert UUID(response.headers["X-Request-Id"])
    assert response.json() == {
        "type": "urn:problem-type:edit-jobs:not_found",
        "title": "There is no such thing",
        "status": 404,
        "detail": "There is nothing at this path.",
        "code": "not_found",
        "retryable": False,
    }


async def test_another_method_is_told_which_there_are(stranger: httpx.AsyncClient) -> None:
    allowed = {
        "/v1/jobs": "GET, OPTIONS, POST",
        JOB: "DELETE, GET, OPTIONS",
        f"{JOB}/cancel": "OPTIONS, POST",
    }
    for path, methods in allowed.items():
        response = await stranger.put(path)

        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
        assert response.headers["Allow"] == methods
        for unknown in ("TRACE", "BREW", "HEAD"):
            other = await stranger.request(unknown, path)
            assert (other.status_code, other.headers["Allow"]) == (405, methods)
        told = await stranger.options(path)
        assert (told.status_code, told.headers["Allow"], told.content) == (204, methods, b"")
        assert response.headers["Content-Type"] == "application/problem+json"


async def test_the_callers_request_id_comes_back(stranger: httpx.AsyncClient) -> None:
    response = await stranger.get("/health/live", headers={"X-Request-Id": "order-17/a"})
    assert response.headers.get_list("X-Request-Id") == ["order-17/a"]


async def test_a_strange_request_id_is_replaced(stranger: httpx.AsyncClient) -> None:
    for given in (b"", b"a b", b"a\tb", "ü".encode(), b"x" * 129):
        response = await stranger.get("/health/live", headers={b"X-Request-Id": given})
        assert UUID(response.headers["X-Request-Id"])


async def test_what_nobody_foresaw_is_logged_and_not_answered(api: httpx.AsyncClient, app: Litestar) -> None:
    def broken() -> None:
        raise RuntimeError("SELECT secret FROM places")

    app.state.parts = replace(app.state.parts, clock=broken)
    body = {"input": {"prompt": "x", "image_urls": ["https://a.example/"]}}
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        response = await api.post("/v1/jobs", json=body, headers={"X-Request-Id": "r-1"})

    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-Id"] == "r-1"
    assert response.json() == {
        "type": "urn:problem-type:edit-jobs:internal_error",
        "title": "Something went wrong",
        "status": 500,
        "detail": "Something went wrong here. It was logged with the request r-1.",
        "code": "internal_error",
        "retryable": False,
    }
    [line] = [line for line in lines if line["event"] == "request.failed"]
    assert (line["request_id"], line["method"], line["path"]) == ("r-1", "POST", "/v1/jobs")
    assert isinstance(line["exc_info"], RuntimeError)


async def test_it_is_alive_and_ready(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/health/live")).json() == {"status": "ok"}
    ready = await stranger.get("/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok"})


async def test_without_redis_it_is_degraded(serving: Serving) -> None:
    async with serving(redis_url="redis://127.0.0.1:1") as client:
        ready = await client.get("/health/ready")

    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert "Redis" in ready.json()["degraded"][0]


async def test_without_postgres_it_is_alive_but_not_ready(serving: Serving) -> None:
    async with serving(api_database_url="postgresql://nobody@127.0.0.1:1/none") as client:
        live, ready = await asyncio.gather(client.get("/health/live"), client.get("/health/ready"))

    assert live.status_code == 200
    assert (ready.status_code, ready.json()["retryable"]) == (503, True)
    assert ready.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    "closed", [lambda url: url.set(username="nobody"), lambda url: url.set(database="none")]
)
async def test_a_postgres_that_lets_nobody_in_is_away_too(
    serving: Serving, new_settings: Callable[[], Settings], closed: Callable[[URL], URL]
) -> None:
    url = closed(make_url(new_settings().database_url))
    async with serving(api_database_url=url.render_as_string(hide_password=False)) as client:
        ready = await client.get("/health/ready")
        refused = await client.get("/v1/tenant", headers={"Authorization": f"Bearer {keys.new('live')}"})

    for answer in (ready, refused):
        assert (answer.status_code, answer.json()["retryable"]) == (503, True)


async def test_without_the_schema_it_is_not_ready(serving: Serving, empty_database_url: str) -> None:
    async with serving(api_database_url=empty_database_url) as client:
        ready = await client.get("/health/ready")

    assert ready.status_code == 503
    assert "run edit-jobs migrate" in ready.json()["detail"]


async def test_an_application_closes_what_it_opened(new_settings: Callable[[], Settings]) -> None:
    app = create_app(new_settings())
    async with app.lifespan():
        async with app.state.parts.database.statement():
            pass
        assert app.state.parts.database.engine.pool.checkedin() == 1

    assert app.state.parts.database.engine.pool.checkedin() == 0


def every_error(of: type[ServiceError]) -> list[type[ServiceError]]:
    return [of, *(error for sub in of.__subclasses__() for error in every_error(sub))]


def test_every_error_has_a_title_and_a_code_of_its_own() -> None:
    errors = every_error(ServiceError)
    seen: dict[str, Any] = {error.code: error for error in errors}
    assert len(seen) == len(errors)
    assert all(error.title() and not error.title().endswith(".") for error in errors)


async def test_a_header_that_decides_can_be_given_once(api: httpx.AsyncClient) -> None:
    """A proxy before us may read the other one."""
    key, body = api.headers["Authorization"], {"Content-Type": "application/json"}
    twice = [
        [("Authorization", key), ("Authorization", key)],
        [("Authorization", key), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
    ]
    for headers in twice:
        request = httpx.Request(
            "POST", "http://x/v1/jobs", headers=[*headers, *body.items()], content=GOOD_BODY
        )
        response = await api.send(request)

        assert response.status_code == 400
        assert "can be given once" in response.json()["detail"]


@pytest.fixture
async def connected(app: Litestar) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server of its own."""
    config = uvicorn.Config(app, http=Protocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    yield reader, writer
    writer.close()
    server.should_exit = True
    await serving


async def test_what_is_not_http_gets_a_problem_document_with_an_id(
    connected: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = connected
    writer.write(b"GET /v1/jobs?status=\xff HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert b"x-request-id: " in head
    assert msgspec.json.decode(body)["code"] == "bad_request"


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"GET /", b"a"),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: ", b"a"),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b"X-A: a\r\n"),
        (b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: a\r\n"),
    ],
    ids=["path", "header", "headers", "trailers"],
)
async def test_a_request_without_an_end_is_ended(
    connected: tuple[asyncio.StreamReader, asyncio.StreamWriter], head: bytes, more: bytes
) -> None:
    reader, writer = connected
    sent = 0
    writer.write(head)
    with contextlib.suppress(ConnectionError):
        while sent < 8_000_000 and not writer.is_closing():
            writer.write(more * 10_000)
            sent += len(more) * 10_000
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 5)
    assert reader.at_eof() or reader.exception()
    assert sent < 8_000_000


async def test_a_long_head_and_a_body_that_is_far_too_long_are_answered(
    connected: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = connected
    key = keys.new("live").encode()
    writer.write(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 30_000 + b"\r\n")
    writer.write(b"Authorization: Bearer " + key + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(40):
        writer.write(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answers = await asyncio.wait_for(reader.read(), 5)
    assert answers.startswith(b"HTTP/1.1 401 ")
    assert answers.endswith(b'{"status":"ok"}')
