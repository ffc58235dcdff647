import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from service.dev.serving import serving
from service.dev.simulator import Options, Simulator

MODEL = "/v1/models/blackforestlabs/flux-2/dev/edit"
SAMPLE = "https://pictures.example/samples/lake.png"
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Wire:
    headers: Mapping[str, str]
    raw: bytes


class Caller:
    """A client and the clock of the simulator it calls."""

    def __init__(self, url: str, session: aiohttp.ClientSession, clock: list[float]) -> None:
        self.url, self._session, self._clock = url, session, clock

    def pass_time(self, seconds: float) -> None:
        self._clock[0] += seconds

    async def call(
        self, method: str, path: str, *, token: str | None = "t", **content: Any
    ) -> tuple[int, Any, Wire]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = URL(path if path.startswith("http") else self.url + path, encoded=True)
        async with self._session.request(method, url, headers=headers, **content) as answer:
            wire = Wire(answer.headers, await answer.read())
            json = answer.content_type == "application/json"
            return answer.status, msgspec.json.decode(wire.raw) if json else wire.raw, wire

    async def submit(self, prompt: str, **fields: Any) -> Any:
        status, body, _ = await self.call("POST", MODEL, json=job(prompt, **fields))
        assert status == 200
        return body

    async def get(self, path: str, **query: Any) -> Any:
        return (await self.call("GET", path, **query))[1]


def job(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"prompt": prompt, "image_urls": [SAMPLE], **fields}


@pytest.fixture
async def calls() -> AsyncIterator[Callable[..., Any]]:
    """Starts a simulator with these options, and gives its caller."""
    opened: list[Any] = []

    async def start(**options: Any) -> Caller:
        clock = [1_750_000_000.0]
        simulator = Simulator(Options(**options), clock=lambda: clock[0])
        server = serving(simulator.application(), host="127.0.0.1", port=0)
        url = await server.__aenter__()
        session = aiohttp.ClientSession()
        opened.extend([server, session])
        return Caller(url, session, clock)

    yield start
    for each in reversed(opened):
        await each.__aexit__(None, None, None)


@pytest.fixture
async def caller(calls: Callable[..., Any]) -> Caller:
    started: Caller = await calls()
    return started


async def test_a_submit_answers_ids_and_urls_in_the_captured_order_and_bytes(caller: Caller) -> None:
    _, _, answer = await caller.call("POST", MODEL, json=job("winter"))
    body = await caller.get("/_sim/requests")
    request_id = body[0]["request_id"]
    assert UUID4.fullmatch(request_id)
    base = f"{caller.url}/v1/requests/{request_id}"
    expected = f'{{"request_id":"{request_id}","status_url":"{base}/status",'
    expected += f'"result_url":"{base}/result","cancel_url":"{base}/cancel"}}'
    assert answer.raw.decode() == expected
    assert answer.headers["Content-Type"] == "application/json"


async def test_a_request_goes_from_the_queue_over_running_to_its_pictures(caller: Caller) -> None:
    taken = await caller.submit("winter", num_images=2)
    queued = await caller.get(taken["status_url"])
    assert list(queued) == ["request_id", "status", "queue_position", "status_url", "result_url"]
    assert queued["status"] == "in_queue"
    caller.pass_time(1)
    running = await caller.get(taken["status_url"])
    assert list(running) == ["request_id", "status", "status_url", "result_url"]
    assert running["status"] == "in_progress"
    early = await caller.get(taken["result_url"])
    assert early["status"] == "in_progress"
    assert "output" not in early
    caller.pass_time(3)
    assert (await caller.get(taken["status_url"]))["status"] == "completed"
    result = await caller.get(taken["result_url"])
    assert list(result) == ["request_id", "status", "output", "created_at", "finished_at"]
    assert result["status"] == "succeeded"
    assert len(result["output"]["images"]) == 2
    created, finished = (datetime.fromisoformat(result[name]) for name in ("created_at", "finished_at"))
    assert finished - created == timedelta(seconds=4)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", result["created_at"])


async def test_the_cost_is_told_only_when_asked_for(caller: Caller) -> None:
    taken = await caller.submit("winter sim:queue=0 sim:run=0", num_images=3)
    assert "cost" not in await caller.get(taken["result_url"])
    assert (await caller.get(taken["result_url"] + "?include_cost=true"))["cost"] == 0.045


async def test_a_failure_reads_completed_on_status_and_failed_with_http_200_on_result(caller: Caller) -> None:
    taken = await caller.submit("sim:fail sim:queue=0 sim:run=0")
    assert (await caller.get(taken["status_url"]))["status"] == "completed"
    http, result, _ = await caller.call("GET", taken["result_url"])
    assert (http, list(result)) == (200, ["request_id", "status", "created_at", "error"])
    assert result["status"] == "failed"
    inner = msgspec.json.decode(result["error"].partition(": ")[2])
    assert inner["detail"][0]["type"] == "image_processing_error"


async def test_only_what_waits_in_the_queue_can_be_cancelled(caller: Caller) -> None:
    waiting = await caller.submit("winter")
    http, body, _ = await caller.call("POST", waiting["cancel_url"])
    assert (http, list(body)) == (202, ["request_id", "status", "outcome"])
    assert (body["status"], body["outcome"]) == ("completed", "cancelled")
    caller.pass_time(60)
    assert (await caller.get(waiting["status_url"]))["status"] == "cancelled"
    assert (await caller.get(waiting["result_url"]))["status"] == "cancelled"
    running = await caller.submit("winter sim:queue=0")
    http, body, _ = await caller.call("POST", running["cancel_url"])
    assert (http, body["status"], body["outcome"]) == (202, "in_progress", "not_cancellable")


@pytest.mark.parametrize(("token", "http"), [(None, 400), ("old", 400), ("good", 200)])
async def test_only_valid_tokens_are_let_in_where_a_list_is_given(
    caller: Caller, token: str | None, http: int
) -> None:
    await caller.call("POST", "/_sim/faults", json={"tokens": ["good"]})
    status, body, _ = await caller.call("POST", MODEL, json=job("winter"), token=token)
    assert status == http
    assert body.get("error_code") == (None if http == 200 else 400004)


async def test_malformed_and_unknown_ids_and_models_have_their_codes(caller: Caller) -> None:
    malformed = await caller.call("GET", "/v1/requests/17/status")
    unknown = await caller.call("GET", f"/v1/requests/{'0' * 8}-0000-4000-8000-{'0' * 12}/result")
    model = await caller.call("POST", "/v1/models/a/b/c", json=job("winter"))
    codes = [(http, body["error_code"]) for http, body, _ in (malformed, unknown, model)]
    assert codes == [(400, 400001), (404, 404001), (404, 404001)]


async def test_a_model_describes_itself(caller: Caller) -> None:
    body = await caller.get(MODEL)
    assert list(body) == ["model_id", "display_name", "base_price_usd", "price_unit", "input_schema"]
    assert (await caller.call("GET", "/v1/models/a/b"))[0] == 404


@pytest.mark.parametrize("body", [b"no json", b"[]", b"{}", b'{"prompt":"p","image_urls":[]}', b"\xff"])
async def test_a_body_no_run_can_do_without_is_422_with_field_errors(caller: Caller, body: bytes) -> None:
    http, answer, _ = await caller.call("POST", MODEL, data=body)
    assert http == 422
    assert {"loc", "msg", "type"} == set(answer["detail"][0])
    assert (await caller.get("/_sim/stats"))["taken"] == 0


async def test_unknown_and_odd_fields_are_accepted_silently(caller: Caller) -> None:
    assert await caller.submit("winter", surprise=1, guidance_scale="much")


async def test_a_rejected_prompt_is_400_with_code_and_message(caller: Caller) -> None:
    http, body, _ = await caller.call("POST", MODEL, json=job("sim:reject"))
    assert (http, list(body)) == (400, ["error_code", "error_message"])


async def test_a_lost_submit_is_taken_and_its_connection_closed(caller: Caller) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await caller.call("POST", MODEL, json=job("sim:lost"))
    (seen,) = await caller.get("/_sim/requests")
    assert (seen["taken"], seen["answered"]) == (True, None)


async def test_a_refused_submit_is_not_taken_and_the_same_body_is_the_next_time(caller: Caller) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await caller.call("POST", MODEL, json=job("sim:refused"))
    await caller.submit("sim:refused")
    assert [seen["taken"] for seen in await caller.get("/_sim/requests")] == [False, True]


async def test_a_busy_upstream_says_when_to_come_back_to_each_body_apart(caller: Caller) -> None:
    http, _, answer = await caller.call("POST", MODEL, json=job("one sim:busy=1"))
    assert (http, answer.headers["Retry-After"]) == (429, "1")
    assert (await caller.call("POST", MODEL, json=job("two sim:busy=1")))[0] == 429
    assert (await caller.call("POST", MODEL, json=job("one sim:busy=1")))[0] == 200


async def test_a_500_at_the_first_submit_is_not_taken(caller: Caller) -> None:
    assert (await caller.call("POST", MODEL, json=job("sim:500")))[0] == 500
    assert (await caller.get("/_sim/stats"))["taken"] == 0


@pytest.mark.parametrize(
    ("word", "http", "part"),
    [
        ("error200", 200, {"error_code": 500000}),
        ("word", 200, {"status": "warming_up"}),
        ("blip", 404, {"error_code": 404001}),
    ],
)
async def test_odd_reads_look_like_the_ones_seen(
    caller: Caller, word: str, http: int, part: dict[str, object]
) -> None:
    taken = await caller.submit(f"sim:{word}")
    status, body, _ = await caller.call("GET", taken["status_url"])
    assert (status, body | part) == (http, body)


async def test_a_gateway_answers_with_a_page_where_json_is_expected(caller: Caller) -> None:
    taken = await caller.submit("sim:html")
    http, page, answer = await caller.call("GET", taken["status_url"])
    assert (http, answer.headers["Content-Type"].partition(";")[0]) == (502, "text/html")
    assert b"502 Bad Gateway" in page


async def test_a_result_that_is_not_ready_is_400005_twice(caller: Caller) -> None:
    taken = await caller.submit("sim:notready sim:queue=0 sim:run=0")
    answers = [await caller.call("GET", taken["result_url"]) for _ in range(3)]
    codes = [(http, body.get("error_code")) for http, body, _ in answers]
    assert codes == [(400, 400005), (400, 400005), (200, None)]


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
async def test_a_picture_is_served_to_the_url_as_it_was_given(caller: Caller, output_format: str) -> None:
    fields = {"output_format": output_format, "image_size": {"width": 128, "height": 64}}
    taken = await caller.submit("winter sim:queue=0 sim:run=0", **fields)
    output = (await caller.get(taken["result_url"]))["output"]
    (url,) = output["images"]
    assert output["image"] == url
    assert "%2F" in url
    http, picture, answer = await caller.call("GET", url, token=None)
    assert (http, answer.headers["Content-Type"]) == (200, f"image/{output_format}")
    assert len(picture) > 500
    assert (await caller.call("GET", url.replace("%2F", "/"), token=None))[0] == 403


async def test_a_sample_picture_is_served(caller: Caller) -> None:
    http, picture, answer = await caller.call("GET", "/samples/lake.png", token=None)
    assert (http, answer.headers["Content-Type"]) == (200, "image/png")
    assert picture.startswith(b"\x89PNG")


async def test_every_submit_is_told_with_its_course_and_never_its_token(caller: Caller) -> None:
    taken = await caller.submit("winter")
    await caller.call("POST", MODEL, json=job("winter"), token=None)
    caller.pass_time(1.5)
    for _ in range(2):
        await caller.get(taken["status_url"])
    first, second = await caller.get("/_sim/requests")
    assert (first["prompt"], first["taken"], first["body"]) == ("winter", True, job("winter"))
    assert re.fullmatch(r"[0-9a-f]{12}", first["token"])
    assert (second["taken"], second["answered"], second["token"]) == (False, 400, None)
    course = first["course"]
    assert (course["status"], course["status_reads"], course["result_reads"]) == ("in_progress", 2, 0)
    assert course["started_at"] is not None
    assert course["finished_at"] is None


async def test_the_highest_number_in_flight_is_of_those_taken_and_not_ended(caller: Caller) -> None:
    first, *_ = [await caller.submit(f"{number}") for number in range(3)]
    await caller.call("POST", first["cancel_url"])
    assert (await caller.get("/_sim/stats"))["in_flight"] == 2
    caller.pass_time(4)
    await caller.submit("later")
    stats = await caller.get("/_sim/stats")
    assert (stats["in_flight"], stats["highest_in_flight"], stats["taken"]) == (1, 3, 4)
    assert stats["calls"] | {"submit": 4, "cancel": 1} == stats["calls"]


async def test_faults_are_switched_while_it_runs_and_leave_the_others_alone(caller: Caller) -> None:
    taken = await caller.submit("winter")

    async def switch(**faults: Any) -> int:
        return (await caller.call("POST", "/_sim/faults", json=faults))[0]

    assert await switch(down=True) == 204
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await caller.get(taken["status_url"])
    assert await switch(down=False, tokens=["new"]) == 204
    assert (await caller.get(taken["status_url"]))["error_code"] == 400004
    assert await switch(busy=True) == 204
    assert (await caller.call("GET", taken["status_url"], token="new"))[0] == 429
    assert await switch(busy=False) == 204
    assert (await caller.get(taken["status_url"]))["error_code"] == 400004
    assert await switch(tokens=None, no_balance=True) == 204
    http, body, _ = await caller.call("POST", MODEL, json=job("winter"))
    assert (http, body["error_code"]) == (400, 400002)
    assert (await caller.get(taken["status_url"]))["status"] == "in_queue"


@pytest.mark.parametrize("patch", [b"x", b'{"dwn":true}', b'{"down":"yes"}', b'{"latency":-1}'])
async def test_a_fault_that_does_not_exist_is_refused(caller: Caller, patch: bytes) -> None:
    assert (await caller.call("POST", "/_sim/faults", data=patch))[0] == 400
