"""The state machine."""

from service.jobs.lifecycle import AT_UPSTREAM, END_EVENTS, ENDS, MOVES, UNDER_WAY, Status


def test_no_move_leaves_an_end() -> None:
    assert all(not move.leaves & ENDS for move in MOVES)


def test_every_state_can_still_reach_an_end() -> None:
    reaching = set(ENDS)
    for _ in Status:
        reaching |= {state for move in MOVES if move.reaches in reaching for state in move.leaves}
    assert reaching == set(Status)


def test_every_state_but_the_first_is_reached_by_a_move() -> None:
    assert {move.reaches for move in MOVES} == set(Status)


def test_each_end_has_one_event_of_its_name() -> None:
    assert sorted(END_EVENTS) == sorted(f"job.{status}" for status in ENDS)


def test_what_the_upstream_may_have_taken_is_never_given_up_without_learning_more() -> None:
    """From submitting a job may only go where the answer, or its absence, is part of the move."""
    leaving = {move.event for move in MOVES if Status.SUBMITTING in move.leaves}
    assert leaving == {"job.put_back", "job.submitted", "job.failed"}


def test_what_the_upstream_has_is_under_way() -> None:
    assert AT_UPSTREAM < UNDER_WAY
    assert not UNDER_WAY & ENDS
