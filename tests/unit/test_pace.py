"""The pace of reads, played: jobs whose run times are drawn, read as the pace says. No clock, no luck."""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.jobs.pace import Course, Pace
from service.jobs.run_times import FIRST, LAST, MEMORY, RunTimes
from service.settings import Settings

COST: float = Settings.model_fields["poll_cost"].default
PACE = Pace(COST)
QUEUE = 1.0

Draw = Callable[[], float]


def log_normal(seed: int, *, median: float = 4.0, sigma: float = 0.4) -> Draw:
    chance = random.Random(seed)
    return lambda: chance.lognormvariate(math.log(median), sigma)


@dataclass
class Played:
    """Of each job, how long after its end it was seen and how often it was read."""

    delays: list[float]
    reads: list[int]

    @property
    def median(self) -> float:
        return quantiles(self.delays, n=100)[49]

    @property
    def p95(self) -> float:
        return quantiles(self.delays, n=100)[94]

    @property
    def cost(self) -> float:
        return fmean(self.delays) + COST * fmean(self.reads)


def play(
    runs: Iterable[float],
    times: RunTimes | None,
    *,
    queue: Callable[[float], int | None] | float = QUEUE,
    learn: bool = False,
    told: bool = True,
    pace: Pace = PACE,
) -> Played:
    """Each run from its submit to its end. `told`: the upstream says when a job ended."""
    waited = queue if isinstance(queue, float) else None
    played = Played([], [])
    for run in runs:
        now, course, reads = 0.0, Course(0.0, 0.0), 0
        starts = QUEUE if waited is None else waited
        ends = starts + run
        while now < ends:
            now += pace.wait(course, times, now)
            reads += 1
            if now < starts:
                course.seen_queued(now, None)
            elif now < ends:
                course.seen_running(now)
        played.delays.append(now - ends)
        played.reads.append(reads)
        if learn and times is not None:
            times.add(times.shares(*course.ended(now, at=ends if told else None)))
    return played


def sampled(draw: Draw, count: int) -> list[float]:
    return [draw() for _ in range(count)]


def known(draw: Draw, *, queue: float = QUEUE) -> RunTimes:
    """The true distribution, or very nearly."""
    times = RunTimes()
    weights = dict.fromkeys(range(FIRST, LAST + 1), 0.0)
    for run in sampled(draw, 100_000):
        for bucket, share in times.shares(queue + run, queue + run):
            weights[bucket] += share
    return RunTimes(weights)


def learnt(draw: Draw, *, told: bool = True, jobs: int = 500) -> RunTimes:
    times = RunTimes()
    play(sampled(draw, jobs), times, learn=True, told=told)
    return times


def test_with_the_true_distribution_a_job_takes_less_than_five_reads_for_a_third_of_a_second() -> None:
    played = play(sampled(log_normal(1), 4_000), known(log_normal(2)))
    assert fmean(played.reads) < 4.9
    assert played.median < 0.3
    assert played.p95 < 0.64


@pytest.mark.parametrize("told", [True, False], ids=["ends told", "ends between two reads"])
def test_what_was_learnt_from_the_reads_alone_is_about_as_good(told: bool) -> None:
    truth = play(sampled(log_normal(1), 2_000), known(log_normal(2)))
    played = play(sampled(log_normal(1), 2_000), learnt(log_normal(3), told=told))
    assert played.cost < 1.05 * truth.cost
    assert fmean(played.reads) < 5.3
    assert played.median < 0.31
    assert played.p95 < 0.7


def test_the_first_jobs_of_a_model_are_read_after_two_seconds_and_then_ever_less_often() -> None:
    course, now, waits = Course(0.0, 0.0), 0.0, []
    for _ in range(12):
        waits.append(PACE.wait(course, None, now))
        now += waits[-1]
        course.seen_running(now)
    assert waits[0] == 2.0
    assert [math.isclose(b / a, 1.3) for a, b in pairwise(waits)][:7] == [True] * 7
    assert waits[-1] == 15.0


def test_a_handful_of_ends_already_helps() -> None:
    without = play(sampled(log_normal(1), 500), None)
    few = play(sampled(log_normal(1), 500), learnt(log_normal(3), jobs=10))
    assert few.cost < 0.75 * without.cost


@pytest.mark.parametrize(("before", "after"), [(4.0, 20.0), (20.0, 4.0)])
def test_a_model_whose_run_times_change_is_learnt_anew(before: float, after: float) -> None:
    times = RunTimes()
    play(sampled(log_normal(3, median=before), 500), times, learn=True)
    weights = {bucket: share * 500 for bucket, share in shares_of(times).items()}
    times = RunTimes(weights)
    change = play(sampled(log_normal(4, median=after), 50), times, learn=True)
    assert max(change.delays) <= 15.0
    assert fmean(change.reads) < 30
    aged = RunTimes({bucket: weight * math.exp(-1) for bucket, weight in shares_of(times, 550).items()})
    play(sampled(log_normal(5, median=after), int(MEMORY)), aged, learn=True)
    settled = play(sampled(log_normal(6, median=after), 500), aged)
    truth = play(sampled(log_normal(6, median=after), 500), known(log_normal(7, median=after)))
    assert settled.cost < 1.4 * truth.cost


def test_a_job_that_never_ends_is_read_every_fifteen_seconds() -> None:
    times, course, now, reads = known(log_normal(2)), Course(0.0, 0.0), 0.0, 0
    while now < 3_600:
        now += PACE.wait(course, times, now)
        course.seen_running(now)
        reads += 1
    assert 240 <= reads < 300


def test_between_two_usual_run_times_hardly_anything_is_read() -> None:
    chance = random.Random(5)
    runs = [
        2.0 + chance.random() / 4 if chance.random() < 0.5 else 30.0 + chance.random() for _ in range(600)
    ]
    times = RunTimes()
    play(runs, times, learn=True)
    played = play(runs, times)
    assert fmean(played.reads) < 8
    assert played.p95 < 1.5


def test_a_queue_that_moves_is_read_less_often_than_its_turn_is_far() -> None:
    times, course, now, reads = known(log_normal(2)), Course(0.0, 0.0), 0.0, 0
    while now < 100.0:  # a place a second
        now += PACE.wait(course, times, now)
        reads += 1
        course.seen_queued(now, max(0, math.ceil(100.0 - now) - 1))
    assert reads < 25
    assert now - 100.0 < 4.0


def test_a_queue_that_does_not_tell_is_read_as_often_as_a_job_may_end_and_then_ever_less() -> None:
    times, course, now = known(log_normal(2)), Course(0.0, 0.0), 0.0
    waits = []
    while now < 3_600:
        waits.append(PACE.wait(course, times, now))
        now += waits[-1]
        course.seen_queued(now, None)
    assert waits[0] == waits[1]
    assert waits == sorted(waits)
    assert waits[-1] == 15.0


def test_after_a_long_queue_a_job_is_followed_as_closely_as_any() -> None:
    runs = sampled(log_normal(1), 1_000)
    times = RunTimes()
    play(runs, times, queue=12.0, learn=True)
    played = play(runs, times, queue=12.0)
    assert fmean(played.reads) < 12
    assert played.median < 0.6


def test_reads_that_teach_nothing_come_ever_less_often() -> None:
    times, course, now = known(log_normal(2)), Course(0.0, 0.0), 4.5
    waits = []
    for _ in range(30):
        waits.append(PACE.wait(course, times, now, learnt=False))
        now += waits[-1]
    assert waits == sorted(waits)
    assert waits[-1] == 15.0


def test_the_upstreams_clock_is_believed_only_as_far_as_the_reads_allow() -> None:
    course = Course(since=10.0, unfinished=12.0)
    assert course.ended(14.0, at=13.0) == (3.0, 3.0)
    assert course.ended(14.0, at=500.0) == (4.0, 4.0)
    assert course.ended(14.0, at=1.0) == (2.0, 2.0)
    assert course.ended(14.0, at=None) == (2.0, 4.0)


@given(
    weights=st.dictionaries(st.integers(FIRST, LAST), st.floats(0, 1e6)),
    elapsed=st.floats(0, 1e9),
    cost=st.floats(1e-6, 1e3),
)
def test_no_wait_is_shorter_or_longer_than_allowed(
    weights: dict[int, float], elapsed: float, cost: float
) -> None:
    wait = Pace(cost).wait(Course(0.0, 0.0), RunTimes(weights), elapsed)
    assert 0.25 <= wait <= 15.0


def shares_of(times: RunTimes, total: float = 1.0) -> dict[int, float]:
    """Its weights, scaled to so many ends."""
    return {bucket: weight / times.total * total for bucket, weight in times.weights.items()}
