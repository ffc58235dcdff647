"""Processes of ours: ready or an error that says why, stopped for good, nothing left behind."""

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.dev.processes import Process, ProcessError, reserve_port

STAYS = "print('here', flush=True); import time; time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAYS}"

Start = Callable[..., Process]


def is_here(process: Process) -> bool:
    return "here\n" in process.output


@pytest.fixture
def python(tmp_path: Path) -> Iterator[Start]:
    """Makes a process of a script, and ends it with the test."""
    made: list[Process] = []

    def make(
        script: str, *, ready: Callable[[Process], bool] = is_here, ready_seconds: float = 30
    ) -> Process:
        program = [sys.executable, "-c", script]
        process = Process(program, name="script", folder=tmp_path, ready=ready, ready_seconds=ready_seconds)
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()


def test_a_process_runs_from_ready_to_stop(python: Start) -> None:
    process = python(STAYS)
    process.start()
    assert process.running
    process.stop()
    assert not process.running


def test_one_that_dies_is_told_at_once_with_the_end_of_its_log(python: Start) -> None:
    with pytest.raises(ProcessError, match=r"(?s)status 1.*no such database"):
        python("raise SystemExit('no such database')").start()


def test_one_that_is_never_ready_is_told_with_the_end_of_its_log(python: Start) -> None:
    with pytest.raises(ProcessError, match=r"(?s)not ready after 0.5 s.*here"):
        python(STAYS, ready=lambda _: False, ready_seconds=0.5).start()


def test_one_that_ignores_being_asked_is_killed(python: Start) -> None:
    process = python(DEAF)
    process.start()
    process.stop(timeout=0.1)
    assert not process.running


def test_a_frozen_one_hears_that_it_is_to_stop(python: Start) -> None:
    process = python(f"import signal; signal.signal(15, lambda *_: exit(print('bye', flush=True))); {STAYS}")
    process.start()
    process.freeze()
    process.stop()
    assert process.output.endswith("bye\n")


def test_what_a_killed_one_had_started_is_killed_too(tmp_path: Path, gone: Callable[[Path], bool]) -> None:
    process = Process(
        ["/bin/sh", "-c", "sleep 60 & echo here; wait"], name="shell", folder=tmp_path, ready=is_here
    )
    process.start()
    process.kill()
    assert gone(tmp_path / "shell.pid")


def test_output_is_that_of_the_last_start_and_the_log_keeps_all(python: Start) -> None:
    process = python(STAYS)
    process.start()
    process.restart()
    assert process.output == "here\n"
    assert process.log.read_text() == "here\nhere\n"
    process.stop()


async def test_one_started_by_a_thread_outlives_the_thread(python: Start) -> None:
    process = python(STAYS)
    thread = threading.Thread(target=process.start)
    thread.start()
    await asyncio.to_thread(thread.join)
    # The kernel sends a parent's death before join returns, so one that was to die would miss this line.
    process.freeze()
    process.thaw()
    assert process.running


def test_a_reserved_port_is_for_one_server_and_for_nobody_else() -> None:
    ports = [reserve_port() for _ in range(200)]
    assert len(set(ports)) == len(ports)
    port = ports[0]
    for _ in range(2):  # also after a restart
        with socket.create_server(("127.0.0.1", port)) as server:
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", port))
            with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
                pass
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", port))
