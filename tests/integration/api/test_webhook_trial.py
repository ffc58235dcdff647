"""`POST /v1/webhook-endpoints/{id}/test`: one attempt now, and what came of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest
from harness.applications import application, client_of
from sqlalchemy import text
from standardwebhooks import Webhook

from service.database import Database
from service.dev.receiver import Receiver
from service.dev.receiver import running as running_receiver

PATH = "/v1/webhook-endpoints"


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def hook(receiver: Receiver) -> AsyncIterator[str]:
    async with running_receiver(receiver) as url:
        yield f"{url}/hook"


@pytest.fixture
async def inside(new_settings: Any, api: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The API where this machine may be called."""
    settings = new_settings(webhook_allowed_networks="127.0.0.0/8")
    async with application(settings) as app, client_of(app, str(api.base_url)) as client:
        client.headers.update(api.headers)
        yield client


async def test_it_is_signed_with_the_new_secret_as_soon_as_that_is_known(
    inside: httpx.AsyncClient, receiver: Receiver, hook: str
) -> None:
    url = f"{PATH}/{(await inside.post(PATH, json={'url': hook})).json()['id']}"
    await inside.post(f"{url}/test")
    receiver.trust((await inside.post(f"{url}/rotate-secret", json={"grace_seconds": 0})).json()["secret"])
    await inside.post(f"{url}/test")
    assert [one.verified for one in receiver.deliveries] == [False, True]


async def test_it_arrives_signed_as_a_real_one(
    inside: httpx.AsyncClient, receiver: Receiver, hook: str
) -> None:
    made = (await inside.post(PATH, json={"url": hook, "signing": "v1a"})).json()
    answer = await inside.post(f"{PATH}/{made['id']}/test")
    tried = answer.json()
    assert answer.status_code == 200
    assert tried == {
        "event_id": tried["event_id"], "url": hook, "at": tried["at"], "delivered": True,
        "status_code": 204, "latency_ms": tried["latency_ms"], "error": None, "response": "",
    }  # fmt: skip
    (came,) = receiver.deliveries
    assert came.headers["webhook-id"] == tried["event_id"]
    assert came.headers["webhook-attempt"] == "1"
    Webhook(made["secret"]).verify(came.body.encode(), came.headers)
    kinds = [part.partition(",")[0] for part in came.headers["webhook-signature"].split()]
    assert kinds == ["v1", "v1a"]
    body = msgspec.json.decode(came.body)
    assert (body["type"], body["data"]["endpoint_id"]) == ("webhook.test", made["id"])
    described = (await inside.get("/schema/openapi.json")).json()["components"]["schemas"]["TestEvent"]
    jsonschema_rs.Draft202012Validator(described, validate_formats=True).validate(body)
    assert set(body["data"]) == set(described["properties"]["data"]["required"])


async def test_a_failure_is_told_with_the_start_of_the_answer(
    inside: httpx.AsyncClient, hook: str, database: Database
) -> None:
    made = (await inside.post(PATH, json={"url": f"{hook}?status=500&times=9"})).json()
    tried = (await inside.post(f"{PATH}/{made['id']}/test")).json()
    assert (tried["delivered"], tried["status_code"], tried["error"]) == (False, 500, "HTTP 500")
    async with database.statement() as connection:
        stored = await connection.execute(
            text("SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM webhook_attempts)")
        )
        assert stored.scalar_one() == 0
    shown = (await inside.get(f"{PATH}/{made['id']}")).json()
    assert shown["failing_since"] is None


async def test_of_a_refused_address_no_more_is_told_than_that_it_is_refused(
    api: httpx.AsyncClient, receiver: Receiver, hook: str, database: Database
) -> None:
    made = (await api.post(PATH, json={"url": "https://example.com/"})).json()
    told = []
    # What was registered when the rules were others: one where somebody listens, one where nobody does.
    for url in (hook, "http://127.0.0.1:1/hook", "https://10.1.2.3/"):
        async with database.transaction() as connection:
            await connection.execute(text("UPDATE webhook_endpoints SET url = :url"), {"url": url})
        tried = (await api.post(f"{PATH}/{made['id']}/test")).json()
        told.append((tried["status_code"], tried["error"], tried["response"], tried["delivered"]))
    assert told == [(None, "the address must not be called", "", False)] * 3
    assert not receiver.deliveries


async def test_a_disabled_endpoint_can_be_tested(inside: httpx.AsyncClient, hook: str) -> None:
    made = (await inside.post(PATH, json={"url": hook})).json()
    await inside.patch(f"{PATH}/{made['id']}", json={"enabled": False})
    assert (await inside.post(f"{PATH}/{made['id']}/test")).json()["delivered"] is True


async def test_an_endpoint_that_is_removed_before_its_test_is_signed_is_not_there(
    inside: httpx.AsyncClient, hook: str, database: Database
) -> None:
    made = (await inside.post(PATH, json={"url": hook})).json()
    async with database.transaction() as connection:
        await connection.execute(text("DELETE FROM webhook_secrets WHERE endpoint_id IS NOT NULL"))
    answer = await inside.post(f"{PATH}/{made['id']}/test")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_tests_that_hang_hold_up_nobody_elses(
    inside: httpx.AsyncClient, hook: str, another_tenant: Any, new_key: Any
) -> None:
    made = (await inside.post(PATH, json={"url": f"{hook}?hang=1"})).json()
    path = f"{PATH}/{made['id']}/test"
    answers = await asyncio.gather(*(inside.post(path) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert (refused.json()["limit"], refused.headers["retry-after"]) == ("tests_at_once", "1")

    hanging = [asyncio.create_task(inside.post(path)) for _ in range(4)]
    theirs = {"Authorization": f"Bearer {await new_key(await another_tenant('other'))}"}
    other = (await inside.post(PATH, json={"url": hook}, headers=theirs)).json()
    tried = await inside.post(f"{PATH}/{other['id']}/test", headers=theirs)
    assert tried.json()["delivered"] is True
    assert [answer.status_code for answer in await asyncio.gather(*hanging)] == [200] * 4
