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

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
            loop.add_signal_handler(number, tell, number)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return told[0] if told else None
