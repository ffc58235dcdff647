import math

import pytest

from service.dev.simulator.script import Oddity, Stage, Verdict, read


def test_a_prompt_without_words_waits_a_second_and_runs_three() -> None:
    script = read("make it winter")
    stages = [script.stage(elapsed) for elapsed in (0, 0.99, 1, 3.99, 4)]
    waiting, running = Stage.IN_QUEUE, Stage.IN_PROGRESS
    assert stages == [waiting, waiting, running, running, Stage.COMPLETED]


def test_words_set_the_seconds_in_the_queue_and_running() -> None:
    script = read("make it sim:queue=0.5 sim:run=10. now")
    assert (script.queue, script.run) == (0.5, 10.0)


def test_zero_seconds_are_not_the_default() -> None:
    script = read("sim:queue=0 sim:run=0", queue=9, run=9)
    assert script.stage(0) is Stage.COMPLETED


@pytest.mark.parametrize("prose", ["a sim:", "simsim:fail", "x-sim-fail", "sim:dance", "sim:queue=soon"])
def test_what_is_no_word_changes_nothing(prose: str) -> None:
    plain, script = read("plain"), read(prose)
    assert (script.queue, script.run, script.fails) == (plain.queue, plain.run, False)
    assert script.verdict(0) is Verdict.TAKEN


def test_the_position_falls_to_zero_while_time_passes() -> None:
    script = read("sim:queue=3")
    positions = [script.queue_position(tenths / 10) for tenths in range(30)]
    assert positions == sorted(positions, reverse=True)
    assert (positions[0], positions[-1]) == (5, 0)


def test_a_stuck_request_never_ends() -> None:
    script = read("sim:stuck")
    assert script.run == math.inf
    assert script.stage(1e9) is Stage.IN_PROGRESS


@pytest.mark.parametrize(
    ("prompt", "verdicts"),
    [
        ("plain", [Verdict.TAKEN, Verdict.TAKEN]),
        ("sim:reject", [Verdict.REJECTED, Verdict.REJECTED]),
        ("sim:lost", [Verdict.LOST, Verdict.LOST]),
        ("sim:500", [Verdict.BROKEN, Verdict.TAKEN]),
        ("sim:refused", [Verdict.CLOSED, Verdict.TAKEN]),
        ("sim:busy", [Verdict.BUSY, Verdict.TAKEN]),
        ("sim:busy=2", [Verdict.BUSY, Verdict.BUSY, Verdict.TAKEN]),
        ("sim:busy=1 sim:500", [Verdict.BUSY, Verdict.BROKEN, Verdict.TAKEN]),
    ],
)
def test_each_submit_of_the_same_body_has_its_verdict(prompt: str, verdicts: list[Verdict]) -> None:
    script = read(prompt)
    assert [script.verdict(earlier) for earlier in range(len(verdicts))] == verdicts


@pytest.mark.parametrize("oddity", [Oddity.HTML, Oddity.ERROR_200, Oddity.WORD])
def test_an_odd_answer_comes_goes_and_comes_again(oddity: Oddity) -> None:
    script = read(f"sim:{oddity}")
    expected = [oddity, None, oddity, None, None]
    assert [script.status_oddity(number) for number in range(1, 6)] == expected
    assert [script.result_oddity(number) for number in range(1, 6)] == expected


def test_a_blip_is_on_the_first_reads_of_the_status_only() -> None:
    script = read("sim:blip")
    assert [script.status_oddity(number) for number in (1, 2, 3)] == [Oddity.BLIP, Oddity.BLIP, None]
    assert script.result_oddity(1) is None


def test_a_result_that_is_not_ready_is_ready_at_the_third_read() -> None:
    script = read("sim:notready")
    results = [script.result_oddity(number) for number in (1, 2, 3)]
    assert results == [Oddity.NOT_READY, Oddity.NOT_READY, None]
    assert script.status_oddity(1) is None


def test_a_cost_is_known_at_once_or_late_or_never() -> None:
    scripts = [read(prompt) for prompt in ("plain", "sim:latecost=4", "sim:nocost")]
    assert [script.cost_after for script in scripts] == [0, 4, math.inf]
