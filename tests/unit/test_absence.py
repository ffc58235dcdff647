"""When a 404 is believed."""

from service.jobs.absence import Absence


def test_a_404_within_a_minute_of_the_submit_is_a_blip() -> None:
    absence = Absence(taken=100.0)
    assert not any(absence.is_believed(100.0 + second) for second in range(60))
    assert absence.times == 0


def test_three_in_a_row_over_half_a_minute_are_believed() -> None:
    absence = Absence(taken=0.0)
    assert [absence.is_believed(at) for at in (60, 70, 89, 90)] == [False, False, False, True]


def test_two_are_not_believed_however_far_apart() -> None:
    absence = Absence(taken=0.0)
    assert [absence.is_believed(at) for at in (60, 600)] == [False, False]


def test_one_other_answer_begins_the_count_anew() -> None:
    absence = Absence(taken=0.0)
    for at in (60, 75):
        absence.is_believed(at)
    absence.seen()
    assert [absence.is_believed(at) for at in (95, 100, 110, 125)] == [False, False, False, True]
