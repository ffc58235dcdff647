"""The histogram of run times, and the schedule of reads that follows from it."""

import math
import random

import pytest

from service.jobs.run_times import DOUBT, FIRST, LAST, MEMORY, PER_DOUBLING, RunTimes

COST = 0.06


def test_a_bucket_is_a_sixth_of_a_doubling_and_the_outermost_hold_what_is_beyond() -> None:
    times = RunTimes()
    assert times.shares(4.0, 4.0) == [(2 * PER_DOUBLING, 1.0)]
    assert times.shares(4.4, 4.4) == [(2 * PER_DOUBLING, 1.0)]
    assert times.shares(0.0, 0.0) == times.shares(0.01, 0.01) == [(FIRST, 1.0)]
    assert times.shares(1e9, 1e9) == [(LAST, 1.0)]


@pytest.mark.parametrize(("after", "by"), [(0.0, 2.0), (3.0, 9.0), (0.1, 1e7), (4.0, 4.1), (1e8, 1e9)])
def test_an_end_between_two_reads_counts_as_one_end(after: float, by: float) -> None:
    shares = RunTimes({12: 20.0, 18: 5.0}).shares(after, by)
    assert math.isclose(sum(share for _, share in shares), 1.0)
    assert all(share > 0 for _, share in shares)


def test_an_end_between_two_reads_is_believed_where_ends_were_seen() -> None:
    shares = dict(RunTimes({12: 100.0}).shares(2.0, 16.0))
    assert shares[12] > 0.98


def test_reads_are_close_where_ends_are_likely_and_far_apart_elsewhere() -> None:
    schedule = RunTimes({12: 300.0, 13: 200.0}).schedule
    first = schedule.next(0.0, delay=COST)
    assert 4.2 < first < 4.5
    assert schedule.next(first, delay=COST) - first < 0.4
    assert schedule.next(7.0, delay=COST) > 8.0


@pytest.mark.parametrize("elapsed", [0.0, 0.3, 1.0, 3.9, 4.0, 4.3, 5.0, 17.0, 100.0, 5_000.0])
def test_a_read_is_made_when_the_delay_to_be_expected_is_what_was_asked_for(elapsed: float) -> None:
    """The schedule's arithmetic against a plain sum over small steps."""
    chance = random.Random(1)
    weights = {bucket: chance.random() * 50 for bucket in range(0, 60, 3)}
    read = RunTimes(weights).schedule.next(elapsed, delay=COST)
    steps = 4_000
    times = [elapsed + (read - elapsed) * (step + 0.5) / steps for step in range(steps)]
    expected = sum(1 - left(weights, at) / left(weights, elapsed) for at in times) * (read - elapsed) / steps
    assert math.isclose(expected, COST, rel_tol=1e-3)


def left(weights: dict[int, float], at: float) -> float:
    """How much of the weight, doubt included, ends later than that."""
    total = 0.0
    for bucket in range(FIRST, LAST + 1):
        begin = 0.0 if bucket == FIRST else 2 ** (bucket / PER_DOUBLING)
        end = 2 ** ((bucket + 1) / PER_DOUBLING)
        later = min(max((end - at) / (end - begin), 0.0), 1.0)
        total += (weights.get(bucket, 0.0) + DOUBT / (LAST + 1 - FIRST)) * later
    return total


def test_beyond_all_that_was_ever_seen_there_is_no_plan() -> None:
    assert RunTimes({12: 1.0}).schedule.next(1e7, delay=COST) == math.inf


def test_buckets_that_this_version_does_not_know_are_left_out() -> None:
    assert RunTimes({LAST + 1: 7.0, FIRST: 1.0}).total == 1.0


def test_the_memory_is_long_enough_to_smooth_chance_and_short_enough_to_forget() -> None:
    assert 100 <= MEMORY <= 2000
