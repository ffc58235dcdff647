"""What a process lets in after it has counted a tenant's waiting jobs."""

from service.jobs.backlog import Count


def counted(waiting: int, *, limit: int, jobs: int = 1) -> Count:
    count = Count()
    count.renew(waiting, jobs=jobs, limit=limit, now=100.0)
    return count


def test_a_tenth_of_the_room_is_let_in_before_the_next_count() -> None:
    assert counted(0, limit=1_000).room == 100
    assert counted(900, limit=1_000).room == 10


def test_near_the_limit_each_job_is_counted_for() -> None:
    assert [counted(waiting, limit=5).room for waiting in range(7)] == [1, 1, 1, 1, 1, 0, 0]
    assert [counted(waiting, limit=5).is_full for waiting in (4, 5, 6)] == [False, True, True]


def test_as_many_as_come_at_once_are_let_in_as_far_as_there_is_room() -> None:
    assert counted(0, limit=100, jobs=60).room == 60
    assert counted(70, limit=100, jobs=60).room == 30


def test_a_great_limit_is_not_counted_for_more_often_than_for_a_thousandth_of_it() -> None:
    assert counted(99_500, limit=100_000).room == 100
    assert counted(99_950, limit=100_000).room == 50


def test_a_count_is_good_for_a_second_for_its_limit_and_while_there_is_room() -> None:
    count = counted(0, limit=1_000)
    assert count.tells(100, limit=1_000, now=100.9)
    assert not count.tells(101, limit=1_000, now=100.9)
    assert not count.tells(1, limit=1_000, now=101.1)
    assert not count.tells(1, limit=2_000, now=100.9)


def test_a_full_queue_counts_as_full_for_as_long_as_counting_it_takes() -> None:
    assert counted(100_000, limit=100_000).tells(1, limit=100_000, now=100.9)
    assert counted(1_000, limit=1_000).tells(1, limit=1_000, now=100.009)
    assert not counted(1_000, limit=1_000).tells(1, limit=1_000, now=100.011)
    assert not counted(0, limit=0).tells(1, limit=0, now=100.001)
