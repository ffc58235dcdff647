"""The whole service as real processes. Only this file knows how they are started: tests see URLs and keys."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.dev.stack import Stack


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """One API and one worker, for tests that break nothing; those that do start a `Stack` of their own."""
    with tempfile.TemporaryDirectory(prefix="edit-jobs-e2e-") as folder:
        async with Stack(Path(folder)) as running:
            yield running


@pytest.fixture(autouse=True)
def _parts_alive(stack: Stack) -> None:
    for part in (*stack.apis, *stack.workers):
        assert part.running, f"{part.name} died of an earlier test:\n{part.output[-2000:]}"
