"""What the upstream's answers mean: above all, whether a submit was taken."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.http import Answer as Answered
from service.http import NotSentError, Origin, Phase, UnansweredError
from service.upstream.client import Upstream
from service.upstream.outcomes import (
    Accepted,
    Cancelled,
    Denied,
    Failed,
    Finished,
    Garbled,
    InQueue,
    Missing,
    NotCancellable,
    Refused,
    Running,
    Succeeded,
    Throttled,
    Uncertain,
    Unreachable,
)

Answer = httpx.Response | Exception
HTML = "<html><body>502 Bad Gateway</body></html>"


def answer(status: int, body: object = None, **headers: str) -> httpx.Response:
    content = (
        body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else b""
    )
    return httpx.Response(
        status, content=content, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


def error(code: object, text: str = "no") -> dict[str, object]:
    return {"error_code": code, "error_message": text}


class Told:
    """Answers each request with what it was given, and keeps it as httpx reads it."""

    def __init__(self, given: Answer, seen: list[httpx.Request]) -> None:
        self.given = given
        self.seen = seen

    async def ask(self, origin: Origin, request: bytes, **options: Any) -> Answered:
        head, _, body = request.partition(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        headers = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[1:]]
        url = f"{origin.scheme}://{origin.host}:{origin.port}{target}"
        self.seen.append(httpx.Request(method, url, headers=headers, content=body, extensions=options))  # type: ignore[arg-type]
        if isinstance(self.given, Exception):
            raise self.given
        return Answered(self.given.status_code, b"", self.given.headers.raw, self.given.content)

    async def aclose(self) -> None:
        pass


def upstream(given: Answer, seen: list[httpx.Request] | None = None) -> Upstream:
    told = Told(given, [] if seen is None else seen)
    return Upstream("https://up.example", submits=told, reads=told, submit_deadline=60)


async def submit(given: Answer, seen: list[httpx.Request] | None = None) -> object:
    inputs = {"prompt": "x", "image_urls": ["https://a.example/1%2F2.png"]}
    return await upstream(given, seen).submit("a/b/c", inputs, token="tok", not_after=time.monotonic() + 1)


NOT_TAKEN_FOR_NOW = [
    (NotSentError(Phase.RESOLVE, "no such name"), Unreachable),
    (NotSentError(Phase.CONNECT, "refused"), Unreachable),
    (NotSentError(Phase.TLS, "bad certificate"), Unreachable),
    (NotSentError(Phase.POOL, "no slot"), Unreachable),
    (NotSentError(Phase.TOO_LATE, "too late"), Unreachable),
    (answer(429), Throttled),
    (answer(429, HTML, retry_after="7"), Throttled),
    (answer(503, retry_after="7"), Throttled),
    (answer(400, error(400002)), Denied),
    (answer(400, error(400004)), Denied),
    (answer(400, error("400004")), Denied),
    (answer(200, error(400004)), Denied),
    (answer(401), Denied),
    (answer(402), Denied),
    (answer(403, HTML), Denied),
    (answer(403, error(403001)), Denied),
]
REFUSED = [
    answer(400, error(400003)),
    answer(400, {"detail": [{"msg": "field required"}]}),
    answer(404, error(404001)),
    answer(422, {"detail": "bad"}),
    answer(200, error(400001)),
    answer(301, location="https://elsewhere.example"),
    answer(405),
    answer(413),
]
UNKNOWN = [
    UnansweredError(Phase.READ, "reset"),
    UnansweredError(Phase.READ, "the deadline of 60 s passed"),
    UnansweredError(Phase.WRITE, "broken pipe"),
    answer(408),
    answer(500, error(500000)),
    answer(502, HTML),
    answer(503),
    answer(504),
    answer(522, HTML),
    answer(200),
    answer(200, HTML),
    answer(200, {"id": "somewhere else"}),
    answer(200, {"request_id": None}),
    answer(200, {"request_id": ""}),
    answer(200, {"request_id": "with a space"}),
    answer(200, {"request_id": "a\0b"}),
    answer(200, ["request_id"]),
    answer(202, '{"request_id": "cut o'),
]


@pytest.mark.parametrize(("given", "outcome"), NOT_TAKEN_FOR_NOW)
async def test_a_submit_that_was_provably_not_taken_may_be_repeated(given: Answer, outcome: type) -> None:
    assert isinstance(await submit(given), outcome)


@pytest.mark.parametrize("given", REFUSED)
async def test_a_submit_that_is_refused_for_what_it_is_is_not_repeated(given: Answer) -> None:
    assert isinstance(await submit(given), Refused)


@pytest.mark.parametrize("given", UNKNOWN)
async def test_of_any_other_submit_nobody_knows_whether_it_was_taken(given: Answer) -> None:
    assert isinstance(await submit(given), Uncertain)


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_a_submit_with_an_id_was_taken_whatever_else_it_says(status: int) -> None:
    body = {"request_id": "0197", "status_url": "https://x", "error_code": 1, "error_message": "odd"}
    assert await submit(answer(status, body)) == Accepted("0197")


async def test_a_submit_sends_the_inputs_unwrapped_to_the_raw_model_id_with_its_token() -> None:
    seen: list[httpx.Request] = []
    await submit(answer(200, {"request_id": "0197"}), seen)
    (request,) = seen
    assert request.url == "https://up.example/v1/models/a/b/c"
    assert json.loads(request.content) == {"prompt": "x", "image_urls": ["https://a.example/1%2F2.png"]}
    assert request.headers["authorization"] == "Bearer tok"
    assert request.headers["content-type"] == "application/json"
    assert request.extensions["deadline"] == 60


async def test_how_long_to_wait_is_what_the_answer_asks() -> None:
    assert await submit(answer(429, retry_after="7")) == Throttled(7.0)
    assert await submit(answer(429)) == Throttled(None)


UNHEARD = [
    (NotSentError(Phase.CONNECT, "refused"), Unreachable),
    (UnansweredError(Phase.READ, "reset"), Unreachable),
    (answer(429, retry_after="3"), Throttled),
    (answer(503, retry_after="3"), Throttled),
    (answer(401), Denied),
    (answer(403, error(403001)), Denied),
    (answer(400, error(400004)), Denied),
    (answer(404), Missing),
    (answer(404, error(404001)), Missing),
    (answer(400, error(404001)), Missing),
    (answer(500), Garbled),
    (answer(502, HTML), Garbled),
    (answer(503), Garbled),
    (answer(200, HTML), Garbled),
    (answer(200), Garbled),
    (answer(200, error(500000)), Garbled),
    (answer(400, error(400005)), Garbled),
    (answer(200, {"request_id": "r", "status": "warming_up"}), Garbled),
    (answer(200, {"request_id": "r", "status": 7}), Garbled),
    (answer(500, {"request_id": "r", "status": "completed"}), Garbled),
    (answer(200, ["in_queue"]), Garbled),
]
CALLS: list[Callable[[Upstream], Any]] = [
    lambda up: up.status("r", token="tok"),
    lambda up: up.result("r", token="tok"),
    lambda up: up.cancel("r", token="tok"),
]


@pytest.mark.parametrize(("given", "outcome"), UNHEARD)
@pytest.mark.parametrize("call", CALLS, ids=["status", "result", "cancel"])
async def test_an_answer_that_says_nothing_of_the_job_is_just_that(
    call: Callable[[Upstream], Any], given: Answer, outcome: type
) -> None:
    assert isinstance(await call(upstream(given)), outcome)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"status": "in_queue", "queue_position": 3}, InQueue(3)),
        ({"status": "IN_QUEUE", "queue_position": 0}, InQueue(0)),
        ({"status": "queued"}, InQueue(None)),
        ({"status": "pending", "queue_position": True}, InQueue(None)),
        ({"status": "waiting", "queue_position": -1}, InQueue(None)),
        ({"status": "starting", "queue_position": 1 << 40}, InQueue(None)),
        ({"status": "in_progress"}, Running()),
        ({"status": "processing"}, Running()),
        ({"status": "cancellation_requested"}, Running()),
        ({"status": "completed"}, Finished()),
        ({"status": "Succeeded"}, Finished()),
        ({"status": "success"}, Finished()),
        ({"status": "failed"}, Finished()),
        ({"status": "error"}, Finished()),
        ({"status": "cancelled"}, Finished()),
        ({"status": "canceled"}, Finished()),
    ],
)
async def test_every_word_ever_seen_for_a_status_is_understood(body: dict[str, Any], outcome: object) -> None:
    assert await upstream(answer(200, {"request_id": "r"} | body)).status("r", token="tok") == outcome


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"status": "succeeded", "output": {"image": "https://a/1"}}, Succeeded({"images": ["https://a/1"]})),
        ({"status": "completed", "output": ["https://a/1"]}, Succeeded({"images": ["https://a/1"]})),
        ({"status": "failed", "error": '{"detail":"nsfw"}'}, Failed('{"detail":"nsfw"}')),
        ({"status": "failed"}, Failed("the upstream gives no reason")),
        ({"status": "cancelled"}, Cancelled()),
        ({"status": "in_queue", "queue_position": 2}, InQueue(2)),
        ({"status": "in_progress"}, Running()),
    ],
)
async def test_only_the_result_says_how_it_ended(body: dict[str, Any], outcome: object) -> None:
    assert await upstream(answer(200, {"request_id": "r"} | body)).result("r", token="tok") == outcome


async def test_success_without_an_output_is_not_believed_yet() -> None:
    given = answer(200, {"request_id": "r", "status": "succeeded", "output": {}})
    assert isinstance(await upstream(given).result("r", token="tok"), Garbled)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"status": "completed", "outcome": "cancelled"}, Cancelled()),
        ({"status": "in_progress", "outcome": "not_cancellable"}, NotCancellable()),
        ({"outcome": "Canceled"}, Cancelled()),
    ],
)
async def test_of_a_cancel_only_the_outcome_counts(body: dict[str, Any], outcome: object) -> None:
    assert await upstream(answer(202, {"request_id": "r"} | body)).cancel("r", token="tok") == outcome


async def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    seen: list[httpx.Request] = []
    await upstream(answer(200), seen).status("../../v1/models/x?a=b#c", token="tok")
    assert seen[0].url.raw_path == b"/v1/requests/..%2F..%2Fv1%2Fmodels%2Fx%3Fa%3Db%23c/status"
