"""Calls of the upstream are counted by what came of them, and timed."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from service.telemetry import metrics

Given = ParamSpec("Given")
Outcome = TypeVar("Outcome")


def measured(
    call: str,
) -> Callable[[Callable[Given, Awaitable[Outcome]]], Callable[Given, Coroutine[Any, Any, Outcome]]]:
    """Decorate the method that makes this call and answers with an outcome."""

    def decorate(ask: Callable[Given, Awaitable[Outcome]]) -> Callable[Given, Coroutine[Any, Any, Outcome]]:
        @wraps(ask)
        async def asked(*args: Given.args, **kwargs: Given.kwargs) -> Outcome:
            began = time.monotonic()
            outcome = await ask(*args, **kwargs)
            metrics.asked_upstream(call, outcome, seconds=time.monotonic() - began)
            return outcome

        return asked

    return decorate
