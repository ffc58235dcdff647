"""What a process does with its share of a tenant's second, without Redis and without a clock."""

from service.rates import Share


def told(share: Share, granted: int, **said: float) -> None:
    given = {"rest": 0, "second": 1, "ends_in": 0.5, "asked_at": 10.0, "now": 10.1} | said
    share.add(granted, **given)  # type: ignore[arg-type]  # seconds and counts alike are numbers here


def test_a_share_that_is_empty_has_to_be_asked_for() -> None:
    assert Share().take(10.0) is None


def test_what_was_granted_is_given_out_and_then_asked_for_again() -> None:
    share = Share()
    told(share, 2, rest=7)
    assert [share.take(10.2), share.remaining, share.take(10.2), share.take(10.2)] == [True, 8, True, None]


def test_what_is_left_at_the_end_of_the_second_is_gone() -> None:
    share = Share()
    told(share, 2)
    # It ends half a second after Redis was asked, whenever the answer came.
    assert share.take(10.49) is True
    assert share.take(10.51) is None
    told(share, 1, second=2)
    assert share.left == 1


def test_once_nothing_is_granted_nobody_asks_before_the_second_is_over() -> None:
    share = Share()
    told(share, 0)
    assert [share.take(10.2), share.take(10.59), share.take(10.61)] == [False, False, None]


def test_a_tenth_of_what_was_used_is_asked_for_at_once() -> None:
    share = Share()
    assert share.wanted(waiting=1) == 1
    told(share, 40)
    for _ in range(40):
        share.take(10.2)
    assert share.wanted(waiting=1) == 4
    assert share.wanted(waiting=25) == 25


def test_how_much_was_used_in_the_last_second_counts_and_older_ones_do_not() -> None:
    share = Share()
    told(share, 40)
    for _ in range(40):
        share.take(10.2)
    told(share, 1, second=2)
    assert share.wanted(waiting=1) == 4
    told(share, 1, second=4)
    assert share.wanted(waiting=1) == 1
