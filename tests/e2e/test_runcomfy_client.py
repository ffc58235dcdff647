"""A client of RunComfy changes its base URL and its token, and sees no difference.

The client is written from RunComfy's documentation and captured traffic, without a line of the service's.
What it is answered by RunComfy's simulator and by the service is written down, stripped of what no two
requests share, and held against each other.
"""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from service.dev.stack import Stack

MODEL = "blackforestlabs/flux-2/dev/edit"
PICTURE = "https://pictures.example/samples/lake.png"
STATUS_KEYS = ["request_id", "status", "status_url", "result_url"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


class RunComfyError(Exception):
    """The service said no, in its own code."""

    def __init__(self, http: int, code: int | None, message: str) -> None:
        super().__init__(f"{http} {code}: {message}")
        self.http, self.code, self.message = http, code, message


@dataclass
class Answer:
    """One answer as it came, with what was asked."""

    call: str
    http: int
    content_type: str
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass
class Client:
    """What anybody would write: submit, follow the URLs, stop at the end."""

    base: str
    token: str
    http: ClientSession
    heard: list[Answer] = field(default_factory=list)

    async def submit(self, prompt: str, **inputs: Any) -> dict[str, Any]:
        body = {"prompt": prompt, "image_urls": [PICTURE]} | inputs
        return await self.call("submit", "POST", f"{self.base}/v1/models/{MODEL}", json=body)

    async def until(self, taken: dict[str, Any], reached: Callable[[dict[str, Any]], bool]) -> None:
        async with asyncio.timeout(20):
            while not reached(said := await self.call("status", "GET", taken["status_url"])):
                # The position may be told in the queue, and nowhere else.
                assert [key for key in said if key != "queue_position"] == STATUS_KEYS
                assert said["status"] == "in_queue" or "queue_position" not in said
                await asyncio.sleep(0.05)

    async def run(self, prompt: str, **inputs: Any) -> dict[str, Any]:
        """The result, after polling to the end."""
        taken = await self.submit(prompt, **inputs)
        await self.until(taken, lambda said: said["status"] not in ("in_queue", "in_progress"))
        return await self.call("result", "GET", taken["result_url"])

    async def call(self, name: str, method: str, url: str, **more: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.http.request(method, url, headers=headers, **more) as response:
            text = await response.text()
            answer = Answer(name, response.status, response.headers["Content-Type"], text)
        self.heard.append(answer)
        body: dict[str, Any] = answer.body
        if answer.http >= 400 or "error_code" in body:
            # The message is the first of these that is there.
            words = ("error_message", "message", "error", "detail")
            message = next((str(body[word]) for word in words if body.get(word)), "")
            raise RunComfyError(answer.http, body.get("error_code"), message)
        return body


def shape(value: Any, base: str) -> Any:
    """What is the same for all requests: keys in their order, words, types, the forms of URLs."""
    match value:
        case dict():
            return [(key, shape(inner, base)) for key, inner in value.items()]
        case list():
            return [shape(inner, base) for inner in value]
        case bool() | None:
            return value
        case int() | float():
            return "number"
        case str():
            return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", value.replace(base, "<base>"))
    raise TypeError(value)


def transcript(client: Client) -> list[tuple[str, int, str, Any]]:
    """What was heard; of statuses that follow each other only the last, since pace is not compared."""
    seen: list[tuple[str, int, str, Any]] = []
    for answer in client.heard:
        assert answer.text == json.dumps(answer.body, separators=(",", ":"), ensure_ascii=False), (
            "not compact"
        )
        if answer.call == "status" and seen and seen[-1][0] == "status":
            seen.pop()
        shown = [(key, checked(key, value)) for key, value in shape(answer.body, client.base)]
        seen.append((answer.call, answer.http, answer.content_type, shown))
    return seen


def checked(key: str, value: Any) -> Any:
    """Times and output URLs are all of one form, which is held here, or not in what is compared."""
    if key in ("created_at", "finished_at"):
        assert TIME.fullmatch(value), value
        return "<time>"
    if key == "output":
        return [(name, "<url>" if isinstance(at, str) else ["<url>" for _ in at]) for name, at in value]
    return value


async def edits(client: Client) -> None:
    """One picture, and three."""
    one = await client.run("night sim:queue=0.3 sim:run=0.5")
    assert one["status"] == "succeeded"
    assert one["output"]["images"] == [one["output"]["image"]]
    many = await client.run("night sim:queue=0.3 sim:run=0.5", num_images=3, output_format="webp")
    assert len(many["output"]["images"]) == 3
    async with client.http.get(URL(many["output"]["images"][2], encoded=True)) as picture:
        assert (picture.status, picture.content_type) == (200, "image/webp")


async def waits(client: Client) -> None:
    """Seen in the queue, its result asked for too early, then cancelled, and again."""
    taken = await client.submit("night sim:queue=600")
    await client.until(taken, lambda said: "queue_position" in said)
    waiting = client.heard[-1].body
    assert list(waiting) == ["request_id", "status", "queue_position", "status_url", "result_url"]
    assert type(waiting["queue_position"]) is int
    await client.call("result", "GET", taken["result_url"])
    for _ in range(2):
        told = await client.call("cancel", "POST", taken["cancel_url"])
        assert told["outcome"] == "cancelled"
    await client.until(taken, lambda said: said["status"] == "cancelled")
    await client.call("result", "GET", taken["result_url"])


async def runs(client: Client) -> None:
    """Cannot be cancelled any more."""
    taken = await client.submit("night sim:queue=0.2 sim:run=3")
    await client.until(taken, lambda said: said["status"] == "in_progress")
    await client.call("result", "GET", taken["result_url"])
    told = await client.call("cancel", "POST", taken["cancel_url"])
    assert told["outcome"] == "not_cancellable"


async def fails(client: Client) -> None:
    """Completed on its status, failed on its result; an end cannot be cancelled."""
    result = await client.run("night sim:fail sim:queue=0.2 sim:run=0.3")
    assert result["status"] == "failed"
    assert '"detail"' in result["error"]
    await client.call("cancel", "POST", f"{client.base}/v1/requests/{result['request_id']}/cancel")


async def asks_for_what_is_not_there(client: Client) -> None:
    for request_id, code in ((str(uuid.uuid4()), 404001), ("not-an-id", 400001)):
        for method, call in (("GET", "status"), ("GET", "result"), ("POST", "cancel")):
            with pytest.raises(RunComfyError) as raised:
                await client.call(call, method, f"{client.base}/v1/requests/{request_id}/{call}")
            assert raised.value.code == code
            assert raised.value.message
            # Which words a message has is nobody's promise.
            client.heard[-1].text = client.heard[-1].text.replace(raised.value.message, "<message>")


@asynccontextmanager
async def client(base: str, token: str) -> AsyncIterator[Client]:
    async with ClientSession() as http:
        yield Client(base=base, token=token, http=http)


async def token_of(stack: Stack, name: str) -> str:
    tenant = await stack.create_tenant(name)
    return await stack.create_key(tenant.name)


async def test_the_same_client_hears_the_same_from_the_service_as_from_runcomfy(stack: Stack) -> None:
    scenes: list[Callable[[Client], Awaitable[None]]]
    scenes = [edits, waits, runs, fails, asks_for_what_is_not_there]
    token = await token_of(stack, "a client of RunComfy")

    async def heard(
        scene: Callable[[Client], Awaitable[None]], base: str, token: str
    ) -> list[tuple[str, int, str, Any]]:
        async with client(base, token) as one:
            await scene(one)
            return transcript(one)

    there = [heard(scene, stack.simulator_url, "any") for scene in scenes]
    here = [heard(scene, stack.api_url, token) for scene in scenes]
    answers = await asyncio.gather(*there, *here)
    for scene, runcomfys, ours in zip(scenes, answers, answers[len(scenes) :], strict=False):
        assert len(runcomfys) > 1, scene.__name__
        assert ours == runcomfys, scene.__name__


async def test_a_refusal_is_read_as_the_same_refusal(stack: Stack) -> None:
    """RunComfy's HTTP statuses of these vary from client to client; the service has one for each."""
    token = await token_of(stack, "a refused client")
    nothing = f"{stack.api_url}/v1/models/no/such/model"
    async with client(stack.api_url, token) as known, client(stack.api_url, "wrong") as unknown:
        with pytest.raises(RunComfyError) as bad_token:
            await unknown.submit("night")
        with pytest.raises(RunComfyError) as no_model:
            await known.call("submit", "POST", nothing, json={"prompt": "x", "image_urls": [PICTURE]})
        with pytest.raises(RunComfyError) as bad_input:
            await known.submit("night", num_images=9, image_urls=[])
        heard = [*unknown.heard, *known.heard]
    async with client(stack.simulator_url, "") as there:
        with pytest.raises(RunComfyError) as bad_token_there:
            await there.submit("night")
        there.token = "any"
        with pytest.raises(RunComfyError) as bad_input_there:
            await there.submit("night", image_urls=[])

    assert (bad_token.value.http, bad_token.value.code) == (401, 400004)
    assert bad_token_there.value.code == bad_token.value.code
    assert (no_model.value.http, no_model.value.code) == (400, 400001)
    assert (bad_input.value.http, bad_input.value.code) == (422, 422001)
    assert bad_input_there.value.http == bad_input.value.http
    assert "num_images" in bad_input.value.message
    assert "image_urls" in bad_input.value.message
    assert {answer.content_type for answer in heard} == {"application/json"}


async def test_a_model_is_described_in_runcomfys_order_and_more(stack: Stack) -> None:
    token = await token_of(stack, "a reader of models")
    async with client(stack.simulator_url, "any") as there, client(stack.api_url, token) as here:
        theirs = await there.call("model", "GET", f"{there.base}/v1/models/{MODEL}")
        ours = await here.call("model", "GET", f"{here.base}/v1/models/{MODEL}")

    assert list(ours)[: len(theirs)] == list(theirs)
    assert ours["model_id"] == theirs["model_id"]
    assert set(theirs["input_schema"]["required"]) == set(ours["input_schema"]["required"])
