"""Run times, as workers share them through Postgres."""

import math

import pytest

from service.database import Database
from service.jobs.history import History
from service.jobs.run_times import MEMORY
from service.jobs.store import run_times

MODEL, OTHER = "a/b/edit", "c/d/edit"


async def weights(database: Database, model: str = MODEL) -> dict[int, float]:
    async with database.statement() as connection:
        return (await run_times.read(connection)).get(model, {})


async def test_a_worker_that_has_just_started_knows_what_others_have_seen(database: Database) -> None:
    old, new = History(database), History(database)
    for _ in range(20):
        old.ended(MODEL, 4.0, 4.0)
    await old.share()
    assert new.of(MODEL) is None
    await new.share()
    times = new.of(MODEL)
    assert times is not None
    assert math.isclose(times.total, 20.0)
    assert times.schedule.next(0.0, delay=0.06) > 3.9
    assert new.of(OTHER) is None


async def test_what_two_workers_see_counts_once_each(database: Database) -> None:
    first, second = History(database), History(database)
    first.ended(MODEL, 4.0, 4.0)
    second.ended(MODEL, 9.0, 9.0)
    second.ended(OTHER, 1.0, 1.0)
    for history in (first, second, first, second):
        await history.share()
    for history in (first, second):
        times = history.of(MODEL)
        assert times is not None
        assert sorted(times.weights) == [12, 19]
        assert math.isclose(times.total, 1 + math.exp(-1 / MEMORY))
    assert math.isclose(sum((await weights(database, OTHER)).values()), 1.0)


async def test_what_was_seen_long_ago_fades_with_each_end_that_comes(database: Database) -> None:
    history = History(database)
    for _ in range(100):
        history.ended(MODEL, 4.0, 4.0)
    await history.share()
    for _ in range(int(MEMORY)):
        history.ended(MODEL, 9.0, 9.0)
    await history.share()
    kept = await weights(database)
    assert math.isclose(kept[12], 100 * math.exp(-1))
    assert math.isclose(kept[19], MEMORY)


async def test_an_end_that_comes_while_the_histogram_is_read_is_not_forgotten(database: Database) -> None:
    history = History(database)
    history.ended(MODEL, 4.0, 4.0)
    await history.share()
    history.ended(MODEL, 4.0, 4.0)
    times = history.of(MODEL)
    assert times is not None
    assert times.total == 2.0
    await history.share()
    assert sum((await weights(database)).values()) == pytest.approx(1 + math.exp(-1 / MEMORY))


async def test_what_could_not_be_shared_is_shared_the_next_time(database: Database) -> None:
    history = History(Database("postgresql+asyncpg://nobody@127.0.0.1:1/nowhere", connections=1))
    history.ended(MODEL, 4.0, 4.0)
    with pytest.raises(OSError, match=r"."):
        await history.share()
    times = history.of(MODEL)
    assert times is not None
    assert times.total == 1.0
    history.database = database
    await history.share()
    assert await weights(database) == {12: 1.0}
