from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.webhooks.schedule import (
    LONGEST_AGE,
    Answered,
    Delivered,
    Exhausted,
    Forbidden,
    Held,
    Outcome,
    Retry,
    TimedOut,
    Unreachable,
    Unsent,
    Verdict,
    verdict,
)

WAITS = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
NOW = datetime(2026, 1, 1, tzinfo=UTC)

outcomes = st.one_of(
    st.builds(Answered, st.integers(100, 599), st.none() | st.floats(0, 1e9)),
    st.just(TimedOut()),
    st.just(Unreachable()),
    st.just(Forbidden()),
    st.just(Unsent()),
)


def follows(
    outcome: Outcome, *, registered: bool = False, attempts: int = 1, age: float = 0, luck: float = 0
) -> Verdict:
    return verdict(
        outcome,
        registered=registered,
        attempts=attempts,
        left=LONGEST_AGE - age,
        waits=WAITS,
        rand=lambda: luck,
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_delivered_however_late(status: int) -> None:
    assert follows(Answered(status), attempts=10, age=9e9) == Delivered()


@pytest.mark.parametrize("status", [301, 307, 400, 404, 408, 500, 501])
def test_an_answer_that_says_nothing_of_time_waits_as_the_schedule_says(status: int) -> None:
    assert follows(Answered(status, retry_after=900)) == Retry(5)


def test_the_waits_are_the_schedules_until_the_last_attempt() -> None:
    verdicts = [follows(Unreachable(), attempts=attempts) for attempts in range(1, len(WAITS) + 1)]
    assert verdicts == [*(Retry(wait) for wait in WAITS[1:]), Exhausted("attempts")]


def test_up_to_a_fifth_is_added_and_nothing_taken_away() -> None:
    assert follows(Unreachable(), attempts=2, luck=0) == Retry(300)
    assert follows(Unreachable(), attempts=2, luck=1) == Retry(360)


def test_whoever_is_gone_is_asked_no_more() -> None:
    assert follows(Answered(410)) == Exhausted("gone")
    assert follows(Answered(410), registered=True) == Held()


def test_a_forbidden_address_is_final_unless_it_is_an_endpoints() -> None:
    assert follows(Forbidden()) == Exhausted("forbidden_address")
    assert follows(Forbidden(), registered=True) == Retry(5)


def test_a_fault_of_ours_is_tried_again_on_the_schedule() -> None:
    assert follows(Unsent(), attempts=2) == Retry(300)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_overloaded_receiver_is_given_the_longest_of_schedule_wish_and_a_minute(status: int) -> None:
    assert follows(Answered(status)) == Retry(60)
    assert follows(Answered(status, retry_after=7)) == Retry(60)
    assert follows(Answered(status, retry_after=90)) == Retry(90)
    assert follows(Answered(status, retry_after=90), attempts=2) == Retry(300)


def test_a_receiver_that_did_not_answer_in_time_is_given_a_minute() -> None:
    assert follows(TimedOut()) == Retry(60)
    assert follows(TimedOut(), attempts=3) == Retry(1800)


def test_no_attempt_is_planned_for_more_than_four_days_after_the_event() -> None:
    four_days = 4 * 86400
    assert follows(Unreachable(), age=four_days - 5) == Retry(5)
    assert follows(Unreachable(), age=four_days - 4) == Exhausted("age")


def test_an_attempt_beyond_the_schedule_is_the_last() -> None:
    assert follows(Unreachable(), attempts=len(WAITS) + 3) == Exhausted("attempts")


@given(
    outcome=outcomes,
    registered=st.booleans(),
    attempts=st.integers(1, 12),
    age=st.floats(0, 1e6),
    luck=st.floats(0, 1),
)
def test_a_retry_is_never_earlier_than_planned_nor_later_than_four_days(
    outcome: Outcome, registered: bool, attempts: int, age: float, luck: float
) -> None:
    match follows(outcome, registered=registered, attempts=attempts, age=age, luck=luck):
        case Retry(after):
            least = WAITS[attempts]
            assert least <= after <= max(least, 3600) * 1.2
            assert after <= LONGEST_AGE - age
        case Delivered():
            assert isinstance(outcome, Answered)
            assert outcome.status // 100 == 2
        case Exhausted("attempts"):
            assert attempts >= len(WAITS)
        case Exhausted("age"):
            assert age + max(WAITS[attempts], 3600) * 1.2 > 4 * 86400
        case Held():
            assert registered
            assert isinstance(outcome, Answered)
            assert outcome.status == 410
        case Exhausted(reason):
            assert not registered
            assert outcome in (Answered(410, getattr(outcome, "retry_after", None)), Forbidden()), reason
