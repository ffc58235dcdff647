"""How hard the upstream may be pressed."""

from service.jobs.pressure import ACCOUNT_PAUSE, LEAST_RATE, Pressure


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pressed() -> tuple[Pressure, Clock]:
    clock = Clock()
    return Pressure(slots=100, clock=clock), clock


def test_a_429_pauses_all_submits_and_halves_those_at_once() -> None:
    pressure, clock = pressed()
    assert pressure.window == 100
    pressure.submit_throttled(7)
    clock.now += 6.9
    assert pressure.window == 0
    clock.now += 0.2
    assert pressure.window == 50


def test_429s_that_come_together_count_once() -> None:
    pressure, clock = pressed()
    for _ in range(20):
        pressure.submit_throttled(None)
        pressure.read_throttled()
    clock.now += 1.1
    assert (pressure.window, pressure.stretch) == (50, 2)


def test_429s_that_go_on_leave_one_submit_as_a_probe() -> None:
    pressure, clock = pressed()
    for _ in range(20):
        pressure.submit_throttled(None)
        clock.now += 1.1
    assert pressure.window == 1


def test_a_window_full_of_answers_allows_one_more() -> None:
    pressure, clock = pressed()
    pressure.submit_throttled(None)
    clock.now += 1.1
    before = pressure.window
    for _ in range(before + 1):
        pressure.submit_answered()
    assert pressure.window == before + 1
    for _ in range(10_000):
        pressure.submit_answered()
    assert pressure.window == 100


def test_a_submit_without_an_answer_halves_without_a_pause() -> None:
    pressure, _ = pressed()
    pressure.submit_unanswered()
    assert pressure.window == 50


def test_an_account_in_trouble_is_only_probed_until_it_is_well() -> None:
    pressure, clock = pressed()
    pressure.account_denied()
    clock.now += ACCOUNT_PAUSE - 0.1
    assert pressure.window == 0
    clock.now += 0.2
    assert pressure.window == 1
    pressure.account_denied()
    pressure.account_well()
    assert pressure.window == 1


def test_reads_slow_down_at_once_and_recover_with_the_answers() -> None:
    pressure, clock = pressed()
    pressure.read_throttled()
    assert pressure.stretch == 2
    pressure.read_answered()
    assert 1.9 < pressure.stretch < 2
    for _ in range(10):
        clock.now += 1.1
        pressure.read_throttled()
    assert pressure.stretch == 1 / LEAST_RATE
    for _ in range(50):
        pressure.read_answered()
    assert pressure.stretch == 1
