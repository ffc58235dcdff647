"""The scripted upstream: what the words of a prompt make happen, and that an id alone says all of it."""

import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.upstream.outcomes import (
    Accepted,
    Cancelled,
    Failed,
    Finished,
    InQueue,
    Missing,
    NotCancellable,
    Refused,
    Running,
    StatusOutcome,
    Succeeded,
    Uncertain,
    Unreachable,
)
from service.upstream.scripted import Course, Scripted

URL = "https://edits.example"


@dataclass
class Clock:
    now: float = 1_764_000_000.0

    def __call__(self) -> float:
        return self.now


async def taken(prompt: str, clock: Clock, **inputs: Any) -> str:
    answer = await submitted(prompt, clock, **inputs)
    assert isinstance(answer, Accepted)
    return answer.request_id


async def submitted(prompt: str, clock: Clock, *, not_after: float | None = None, **inputs: Any) -> Any:
    latest = time.monotonic() + 60 if not_after is None else not_after
    return await Scripted(URL, clock=clock).submit(
        "m", {"prompt": prompt} | inputs, token="", not_after=latest
    )


async def seen(request_id: str, clock: Clock, *, after: float) -> StatusOutcome:
    """By a worker that has never heard of it."""
    return await Scripted(URL, clock=Clock(clock.now + after)).status(request_id, token="")


async def test_without_words_it_waits_a_second_and_runs_for_three() -> None:
    request_id = await taken("make it night", clock := Clock())
    assert [await seen(request_id, clock, after=s) for s in (0, 0.9, 1, 3.9, 4, 9_999)] == [
        InQueue(0),
        InQueue(0),
        Running(),
        Running(),
        Finished(),
        Finished(),
    ]


async def test_words_say_how_long_it_waits_and_runs() -> None:
    request_id = await taken("sim:queue=2.5 a lake, sim:run=0.5.", clock := Clock())
    assert [await seen(request_id, clock, after=s) for s in (0, 1.4, 2.4, 2.5, 3)] == [
        InQueue(2),
        InQueue(1),
        InQueue(0),
        Running(),
        Finished(),
    ]


async def test_what_is_stuck_runs_for_ever() -> None:
    request_id = await taken("sim:stuck sim:queue=0", clock := Clock())
    assert await seen(request_id, clock, after=1e9) == Running()


async def test_a_failure_is_told_by_the_result_alone() -> None:
    request_id = await taken("sim:fail", clock := Clock())
    assert await seen(request_id, clock, after=4) == Finished()
    result = await Scripted(URL, clock=Clock(clock.now + 4)).result(request_id, token="")
    assert isinstance(result, Failed)


async def test_what_is_rejected_or_lost_has_no_id() -> None:
    refused = await submitted("sim:reject", Clock())
    assert isinstance(refused, Refused)
    assert refused.http_status == 400
    assert isinstance(await submitted("sim:lost", Clock()), Uncertain)


async def test_what_comes_too_late_is_not_taken() -> None:
    assert isinstance(await submitted("x", Clock(), not_after=time.monotonic() - 1), Unreachable)


@pytest.mark.parametrize("prompt", ["sim:html sim:what", "xsim:fail", "sim:FAIL", "a:sim:stuck", "sim: fail"])
async def test_words_that_nobody_knows_are_prose(prompt: str) -> None:
    request_id = await taken(prompt, clock := Clock())
    result = await Scripted(URL, clock=Clock(clock.now + 4)).result(request_id, token="")
    assert result == Succeeded({"images": [f"{URL}/test-pictures/1.png"]})


async def test_pictures_are_as_many_and_of_the_kind_that_was_asked_for() -> None:
    request_id = await taken("x", clock := Clock(), num_images=3, output_format="webp")
    result = await Scripted(URL, clock=Clock(clock.now + 4)).result(request_id, token="")
    assert result == Succeeded({"images": [f"{URL}/test-pictures/{n}.webp" for n in (1, 2, 3)]})


async def test_only_what_waits_can_be_cancelled() -> None:
    request_id = await taken("x", clock := Clock())
    assert await Scripted(URL, clock=clock).cancel(request_id, token="") == Cancelled()
    assert await Scripted(URL, clock=Clock(clock.now + 1)).cancel(request_id, token="") == NotCancellable()


async def test_a_result_before_the_end_says_where_it_is() -> None:
    request_id = await taken("x", clock := Clock())
    assert await Scripted(URL, clock=clock).result(request_id, token="") == InQueue(0)


@pytest.mark.parametrize("request_id", ["", "8a0f0d3c-54f9-4bb3-9d5b-2b7a0a3c5a11", "test-1-2-3-ok-9-png"])
async def test_an_id_of_somebody_else_is_not_known(request_id: str) -> None:
    scripted = Scripted(URL)
    for ask in (scripted.status, scripted.result, scripted.cancel):
        assert await ask(request_id, token="") == Missing()


@given(
    queue=st.integers(0, 10**9),
    run=st.none() | st.integers(0, 10**9),
    fails=st.booleans(),
    count=st.integers(1, 4),
    form=st.sampled_from(["png", "jpeg", "webp"]),
)
def test_an_id_reads_as_what_it_was_written_of(
    queue: int, run: int | None, fails: bool, count: int, form: str
) -> None:
    course = Course(taken=1_764_000_000_123, queue=queue, run=run, fails=fails, count=count, form=form)
    assert Course.read(str(course)) == course


async def test_the_longest_wait_that_can_be_asked_for_still_has_an_id() -> None:
    request_id = await taken(f"sim:queue={'9' * 300} sim:run={'9' * 300}", clock := Clock())
    assert isinstance(await seen(request_id, clock, after=7 * 86_400), InQueue)
