import asyncio
import base64
import hashlib
import hmac
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from service.dev.receiver import Delivery, Receiver, running

SECRET = "whsec_" + base64.b64encode(b"a" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"b" * 32).decode()


def signed(body: bytes, *, webhook_id: str = "evt_1", secret: str = SECRET, age: int = 0) -> dict[str, str]:
    """By the specification's words, with neither our signer nor the library that verifies."""
    timestamp = int(time.time()) - age
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


class Sender:
    def __init__(self, url: str, session: aiohttp.ClientSession, seen: asyncio.Queue[Delivery]) -> None:
        self.url, self.seen, self._session = url, seen, session

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        async with self._session.post(self.url + path, data=body, headers=headers) as answer:
            return answer.status

    async def deliveries(self, *, after: int = 0) -> Any:
        async with self._session.get(f"{self.url}/_receiver/deliveries?after={after}") as answer:
            return (await answer.json())["data"]


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    seen: asyncio.Queue[Delivery] = asyncio.Queue()
    receiver = Receiver([SECRET], on_delivery=seen.put_nowait)
    async with running(receiver) as url, aiohttp.ClientSession() as session:
        yield Sender(url, session, seen)


async def test_a_signed_delivery_is_verified_and_told(sender: Sender) -> None:
    assert await sender.post("/hook", b'{"a": 1}', signed(b'{"a": 1}')) == 204
    (delivery,) = await sender.deliveries()
    assert (delivery["verified"], delivery["reason"], delivery["answered"]) == (True, None, 204)
    assert (delivery["body"], delivery["headers"]["webhook-id"]) == ('{"a": 1}', "evt_1")
    assert sender.seen.get_nowait().verified


@pytest.mark.parametrize(
    ("sign", "reason"),
    [
        (dict, "Missing required headers"),
        (lambda: signed(b"another body"), "No matching signature"),
        (lambda: signed(b"body", secret=OTHER), "No matching signature"),
        (lambda: signed(b"body", age=3600), "too old"),
        (lambda: signed(b"body") | {"webhook-signature": "garbage"}, "ValueError"),
    ],
)
async def test_what_is_not_signed_as_it_should_be_is_told_with_the_reason(
    sender: Sender, sign: Callable[[], dict[str, str]], reason: str
) -> None:
    # Signed now: what was signed when the tests were collected may be too old by the time they run.
    assert await sender.post("/hook", b"body", sign()) == 204
    (delivery,) = await sender.deliveries()
    assert delivery["verified"] is False
    assert reason in delivery["reason"]


async def test_a_body_that_is_no_text_is_not_verified_and_breaks_nothing(sender: Sender) -> None:
    body = os.urandom(8) + b"\xff"
    assert await sender.post("/hook", body, signed(body)) == 204
    assert (await sender.deliveries())[0]["verified"] is False


async def test_a_secret_can_be_added_later(sender: Sender) -> None:
    headers = signed(b"body", secret=OTHER)
    assert await sender.post("/_receiver/secret", f'{{"secret":"{OTHER}"}}'.encode(), {}) == 204
    await sender.post("/hook", b"body", headers)
    await sender.post("/hook", b"body", signed(b"body"))
    assert [delivery["verified"] for delivery in await sender.deliveries()] == [True, True]


@pytest.mark.parametrize("body", [b"x", b"{}", b'{"secret":"whsec_"}', b'{"secret":"whsec_a"}'])
async def test_what_is_no_secret_is_refused(sender: Sender, body: bytes) -> None:
    assert await sender.post("/_receiver/secret", body, {}) == 400


async def test_a_scripted_status_answers_the_first_posts_of_each_event(sender: Sender) -> None:
    path = "/hook?status=503&times=2"
    one, two = signed(b"body", webhook_id="one"), signed(b"body", webhook_id="two")
    answers = [await sender.post(path, b"body", headers) for headers in (one, two, one, one, two, two)]
    assert answers == [503, 503, 503, 204, 503, 204]
    assert [delivery["answered"] for delivery in await sender.deliveries()] == answers


async def test_a_hanging_answer_is_told_before_it_is_given(sender: Sender) -> None:
    waiting = asyncio.create_task(sender.post("/hook?hang=30", b"body", signed(b"body")))
    await asyncio.wait_for(sender.seen.get(), 5)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_was_read_before_need_not_be_read_again(sender: Sender) -> None:
    for body in (b"1", b"2", b"3"):
        await sender.post("/hook", body, signed(body))
    assert [delivery["body"] for delivery in await sender.deliveries(after=2)] == ["3"]
    assert await sender.deliveries(after=3) == []
