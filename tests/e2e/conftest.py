"""The whole service as real processes. Only this file knows how they are started: tests see URLs and keys."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.dev.stack import Stack


@pytest.fixture(scope="session")
async def running_stack() -> AsyncIterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="edit-jobs-e2e-") as folder:
        async with Stack(Path(folder)) as running:
            yield running


@pytest.fixture
def stack(running_stack: Stack) -> Stack:
    """One API and one worker, running even if the test before has killed a part; this one may, too."""
    for part in running_stack.parts:
        part.start()
    return running_stack
