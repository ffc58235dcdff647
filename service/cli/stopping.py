"""How `demo` and `dev` end: in order, whoever asks for it."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


def until_told(work: Coroutine[Any, Any, None]) -> signal.Signals | None:
    """Run it to its end, or cancel it at the first SIGINT, SIGTERM or SIGHUP and return which it was.

    Those that follow change nothing: what was started is being stopped already.
    """
    return asyncio.run(_run(work))


async def _run(work: Coroutine[Any, Any, None]) -> signal.Signals | None:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    told: list[signal.Signals] = []

    def tell(number: signal.Signals) -> None:
        if not told:
            told.append(number)
            task.cancel()

    # A shell starts what goes to the background with SIGINT ignored; whoever sends it all the same means it.
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
        wanted.append(signal.SIGHUP)
    for number in wanted:
        loop.add_signal_handler(number, tell, number)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return told[0] if told else None
