"""What comes together is done together, and what goes wrong with it is told to each."""

import asyncio
from collections.abc import Sequence

import pytest

from service.jobs.gathering import Gathering


class Doubling:
    """Doubles numbers, and keeps which came together."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.error: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.seen.append(list(numbers))
        await self.go_on.wait()
        if self.error:
            raise self.error
        return [2 * number for number in numbers]


@pytest.mark.parametrize("within", [0.0, 0.01])
async def test_what_comes_together_is_done_together_and_each_gets_its_own_answer(within: float) -> None:
    doubling = Doubling()
    gathering = Gathering(doubling, within=within)
    assert await asyncio.gather(*(gathering.do(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert await gathering.do(7) == 14
    assert doubling.seen == [[0, 1, 2, 3, 4], [7]]


async def test_what_is_slow_does_not_hold_up_what_comes_later() -> None:
    doubling = Doubling()
    gathering = Gathering(doubling, within=0.0)
    doubling.go_on.clear()
    slow = asyncio.create_task(gathering.do(1))
    await asyncio.sleep(0.01)
    later = asyncio.create_task(gathering.do(2))
    await asyncio.sleep(0.01)
    assert doubling.seen == [[1], [2]]
    doubling.go_on.set()
    assert (await slow, await later) == (2, 4)


async def test_an_error_is_everybodys() -> None:
    doubling = Doubling()
    gathering = Gathering(doubling, within=0.0)
    doubling.error = OSError("away")
    answers = await asyncio.gather(gathering.do(1), gathering.do(2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError, OSError]


async def test_whoever_is_cancelled_takes_nobody_along_and_his_is_done_all_the_same() -> None:
    doubling = Doubling()
    gathering = Gathering(doubling, within=0.01)
    leaving, staying = (asyncio.create_task(gathering.do(number)) for number in (1, 2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 4
    assert doubling.seen == [[1, 2]]
    assert leaving.cancelled()


async def test_at_the_end_nothing_waits_for_company() -> None:
    doubling = Doubling()
    gathering = Gathering(doubling, within=60.0)
    last = asyncio.create_task(gathering.do(1))
    await asyncio.sleep(0)
    await gathering.finish()
    assert await last == 2
