"""How hard the upstream may be pressed."""

from service.jobs.pressure import ACCOUNT_PAUSE, MOST_STRETCHED, Pressure


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_429_pauses_all_submits_and_halves_those_at_once() -> None:
    clock = Clock()
    pressure = Pressure(slots=100, clock=clock)
    assert pressure.window == 100
    pressure.submit_throttled(7)
    clock.now += 6.9
    assert pressure.window == 0
    clock.now += 0.2
    assert pressure.window == 50


def test_many_429s_leave_one_submit_as_a_probe() -> None:
    clock = Clock()
    pressure = Pressure(slots=100, clock=clock)
    for _ in range(20):
        pressure.submit_throttled(None)
    clock.now += 1.1
    assert pressure.window == 1


def test_a_window_full_of_answers_allows_one_more() -> None:
    clock = Clock()
    pressure = Pressure(slots=100, clock=clock)
    pressure.submit_throttled(None)
    clock.now += 1.1
    before = pressure.window
    for _ in range(before + 1):
        pressure.submit_answered()
    assert pressure.window == before + 1
    for _ in range(10_000):
        pressure.submit_answered()
    assert pressure.window == 100


def test_an_account_in_trouble_is_only_probed() -> None:
    clock = Clock()
    pressure = Pressure(slots=100, clock=clock)
    pressure.account_denied()
    clock.now += ACCOUNT_PAUSE - 0.1
    assert pressure.window == 0
    clock.now += 0.2
    assert pressure.window == 1
    pressure.account_denied()
    pressure.account_well()
    assert pressure.window == 1


def test_reads_stretch_at_once_and_relax_slowly() -> None:
    pressure = Pressure(slots=1)
    pressure.read_throttled()
    assert pressure.stretch == 2
    pressure.read_answered()
    assert 1.9 < pressure.stretch < 2
    for _ in range(10):
        pressure.read_throttled()
    assert pressure.stretch == MOST_STRETCHED
    for _ in range(1000):
        pressure.read_answered()
    assert pressure.stretch == 1
