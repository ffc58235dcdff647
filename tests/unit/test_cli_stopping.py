import asyncio
import os
import signal

import pytest

from service.cli.stopping import until_told


def test_work_that_ends_by_itself_was_told_nothing() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("all of it")

    assert until_told(work()) is None
    assert done == ["all of it"]


def test_what_goes_wrong_in_the_work_comes_out() -> None:
    async def work() -> None:
        raise ValueError("it went wrong")

    with pytest.raises(ValueError, match="it went wrong"):
        until_told(work())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_work_and_another_one_does_not_disturb_the_end(number: signal.Signals) -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(10):
                await asyncio.sleep(0)
            done.append("tidied up")

    assert until_told(work()) is number
    assert done == ["tidied up"]


def test_the_signals_are_as_before_when_the_work_is_over() -> None:
    async def work() -> None:
        pass

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    until_told(work())
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
