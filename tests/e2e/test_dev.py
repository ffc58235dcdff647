"""`edit-jobs dev` by the real command line, on real servers."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.dev.processes import reserve_port

SECONDS = 60


class Dev:
    """`edit-jobs dev` in a folder."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "dev", "--port", str(port)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, text: str) -> str:
        """All it printed up to the line with this text."""
        assert self.process.stdout is not None
        printed = ""
        for line in self.process.stdout:
            printed += line
            if text in line:
                return printed
        raise AssertionError(f"dev ended before it said {text!r}:\n{printed}")

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=SECONDS)
        return self.process.returncode


@pytest.fixture
def started() -> Iterator[list[Dev]]:
    started: list[Dev] = []
    yield started
    for dev in started:
        dev.process.kill()
        dev.process.communicate()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines to try are curl's")
def test_dev_does_what_it_says_one_can_try_and_keeps_its_key(tmp_path: Path, started: list[Dev]) -> None:
    port = reserve_port()
    dev = Dev(tmp_path, port=port)
    started.append(dev)
    printed = dev.read_until("Ready.")
    assert "\x1b" not in printed
    lines = printed.partition("To try, in another terminal:\n")[2].rpartition("\n\n")[0]
    # They create a job, look at it, cancel another one and kill the worker.
    tried = subprocess.run(
        ["bash", "-e"], input=lines, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    job, timeline, listed, cancelled = (json.loads(line) for line in tried.stdout.splitlines())
    assert timeline["data"][0]["type"] == "job.accepted"
    assert [found["id"] for found in listed["data"]] == [job["id"]]
    assert (cancelled["status"], cancelled["id"] != job["id"]) == ("cancelled", True)

    assert "worker-0 died" in dev.read_until("worker-0            ready")
    told = dev.read_until(job["id"]).splitlines()[-1]
    assert "job.completed" in told
    assert told.endswith("signature verified")

    assert dev.stop(signal.SIGTERM) == 0
    again = Dev(tmp_path, port=port)
    started.append(again)
    key = re.search(r"ej_live_\w+", again.read_until("Ready."))
    assert key is not None
    assert key[0] in printed
    assert _status(f"http://127.0.0.1:{port}", key[0]) == 200
    assert again.stop(signal.SIGINT) == 0
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def _status(api: str, key: str) -> int:
    """What the list of jobs answers to this key."""
    request = urllib.request.Request(f"{api}/v1/jobs", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
