"""Errors on RunComfy's interface: its codes in its form, whoever raises them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import httpx
from litestar import Litestar

from service.errors import AcceptanceUnknownError, UnavailableError
from service.tenants import keys

Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]

MODEL = "/v1/models/blackforestlabs/flux-2/dev/edit"
INPUT: dict[str, Any] = {"prompt": "make it night", "image_urls": ["https://pictures.example/lake.png"]}
REQUEST = "/v1/requests/01890a5d-ac96-774b-bcce-b302099a8057"
JSON = {"Content-Type": "application/json"}


def told(response: httpx.Response) -> tuple[int, int, str]:
    """The HTTP status, the code and the message of an error in RunComfy's form, and of nothing else."""
    assert response.headers["Content-Type"] == "application/json"
    assert list(response.json()) == ["error_code", "error_message"]
    return response.status_code, response.json()["error_code"], response.json()["error_message"]


async def test_without_a_good_token_it_is_the_tokens_code(stranger: httpx.AsyncClient) -> None:
    for method, path in (
        ("POST", MODEL),
        ("GET", f"{REQUEST}/status"),
        ("GET", f"{REQUEST}/result"),
        ("POST", f"{REQUEST}/cancel"),
        ("GET", "/v1/models"),
        ("GET", MODEL),
    ):
        for headers in ({}, {"Authorization": "Bearer abc"}):
            response = await stranger.request(method, path, headers=headers)
            assert told(response)[:2] == (401, 400004)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_every_fault_of_an_input_is_in_the_message_by_its_name_here(api: httpx.AsyncClient) -> None:
    wrong = {"image_urls": ["http://pictures.example/a.png"], "seed": "1", "steps": 4}
    response = await api.post(MODEL, json=wrong, params={"webhook": "https://127.0.0.1/"})

    status, code, message = told(response)
    assert (status, code) == (422, 422001)
    faults = message.removesuffix(".").split("; ")
    assert sorted(fault.partition(" ")[0] for fault in faults) == [
        "image_urls/0",
        "prompt",
        "seed",
        "steps",
        "webhook",
    ]
    assert "image_urls/0 must begin with https://" in faults


async def test_an_input_that_is_no_object_is_refused(api: httpx.AsyncClient) -> None:
    for body in ("[]", '"text"', "1", "null"):
        status, code, message = told(await api.post(MODEL, content=body, headers=JSON))
        assert (status, code) == (422, 422001)
        assert message.startswith("The body must be")


async def test_what_is_not_there_and_what_is_malformed_have_runcomfys_codes(api: httpx.AsyncClient) -> None:
    for method, call in (("GET", "status"), ("GET", "result"), ("POST", "cancel")):
        assert told(await api.request(method, f"{REQUEST}/{call}"))[:2] == (404, 404001)
        malformed = await api.request(method, f"/v1/requests/not-an-id/{call}")
        assert told(malformed)[:2] == (400, 400001)
    for method in ("GET", "POST"):
        assert told(await api.request(method, "/v1/models/no/such/model"))[:2] == (400, 400001)


async def test_a_body_that_cannot_be_read_is_refused(api: httpx.AsyncClient) -> None:
    for content, headers, expected in (
        (b"{", JSON, (400, 400001)),
        (b"{}", {"Content-Type": "text/plain"}, (415, 415001)),
        (b"[" + b"1," * 200_000 + b"1]", JSON, (413, 413001)),
    ):
        response = await api.post(MODEL, content=content, headers=headers)
        assert told(response)[:2] == expected


async def test_a_body_too_large_of_no_announced_length_is_refused(api: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b" " * 1024

    assert told(await api.post(MODEL, content=pieces(), headers=JSON))[:2] == (413, 413001)


async def test_a_query_that_means_nothing_here_is_refused(api: httpx.AsyncClient) -> None:
    for method, path in (
        ("POST", f"{MODEL}?webook=https://hooks.example/"),
        ("POST", f"{MODEL}?webhook=https://a.example/&webhook=https://b.example/"),
        ("GET", f"{REQUEST}/result?include_cost=perhaps"),
        ("GET", f"{REQUEST}/status?include_cost=true"),
        ("POST", f"{REQUEST}/cancel?now=1"),
        ("GET", "/v1/models?page=1"),
        ("GET", f"{MODEL}?x"),
    ):
        assert told(await api.request(method, path))[:2] == (400, 400001)


async def test_errors_of_the_framework_have_the_form_too(api: httpx.AsyncClient) -> None:
    response = await api.put(MODEL)
    assert told(response)[:2] == (405, 405001)
    assert response.headers["Allow"] == "GET, OPTIONS, POST"
    for path in ("/v1/requests", REQUEST, f"{REQUEST}/unknown"):
        assert told(await api.get(path))[:2] == (404, 404001)
    assert told(await api.post("/v1/models"))[:2] == (405, 405001)

    other = await api.get("/v1/requestsx")
    assert other.headers["Content-Type"] == "application/problem+json"


async def test_what_nobody_foresaw_is_not_answered(api: httpx.AsyncClient, app: Litestar) -> None:
    def broken() -> None:
        raise RuntimeError("SELECT secret FROM places")

    app.state.parts = replace(app.state.parts, clock=broken)
    response = await api.post(MODEL, json=INPUT, headers={"X-Request-Id": "r-1"})

    assert told(response) == (
        500,
        500001,
        "Something went wrong here. It was logged with the request r-1.",
    )


async def test_without_postgres_it_is_unavailable(serving: Serving) -> None:
    async with serving(api_database_url="postgresql://nobody@127.0.0.1:1/none") as client:
        response = await client.post(
            MODEL, json=INPUT, headers={"Authorization": f"Bearer {keys.new('live')}"}
        )

    assert told(response)[:2] == (503, 503001)
    assert response.headers["Retry-After"] == "1"


async def test_a_submit_that_may_have_been_stored_is_not_told_like_one_that_was_not(
    api: httpx.AsyncClient, app: Litestar
) -> None:
    def lost() -> None:
        raise AcceptanceUnknownError("The database was lost.", retry_after=1)

    def away() -> None:
        raise UnavailableError("The database is away.", retry_after=1)

    for clock, expected, retry in ((lost, (500, 500001), None), (away, (503, 503001), "1")):
        app.state.parts = replace(app.state.parts, clock=clock)
        response = await api.post(MODEL, json=INPUT)
        assert told(response)[:2] == expected
        assert response.headers.get("Retry-After") == retry
