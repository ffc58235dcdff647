"""What comes within a short time of one another is done together, and each learns what became of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gathering(Generic[Item, Answer]):
    """Items wait for one another, at most `within` seconds; at 0 for those of the same step of the loop."""

    def __init__(
        self, act: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], *, within: float
    ) -> None:
        """`act` answers in the order of the items; what it raises is raised to all of them."""
        self._act = act
        self._within = within
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._acting: set[asyncio.Task[None]] = set()

    async def do(self, item: Item) -> Answer:
        """Have it done with whatever comes along, even if the caller is cancelled while it waits."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, answer))
        if len(self._waiting) == 1:
            if self._within:
                loop.call_later(self._within, self._go)
            else:
                loop.call_soon(self._go)
        return await answer

    async def finish(self) -> None:
        """Do at once what waits, and wait until all is done."""
        self._go()
        while self._acting:
            await asyncio.wait(self._acting)

    def _go(self) -> None:
        if self._waiting:
            items, self._waiting = self._waiting, []
            task = asyncio.create_task(self._run(items))
            self._acting.add(task)
            task.add_done_callback(self._acting.discard)

    async def _run(self, waiting: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._act([item for item, _ in waiting])
        except Exception as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(waiting, answers, strict=True):
            if not future.done():
                future.set_result(answer)
