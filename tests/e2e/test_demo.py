"""`edit-jobs demo` as a person runs it: from a folder of their own, in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops

DEMO = [sys.executable, "-m", "service.cli", "demo"]
SECONDS = 90

if not sys.platform.startswith("linux"):
    pytest.skip("what is left running is read from /proc", allow_module_level=True)


class Demo:
    """A demo under way. Every process it starts inherits a mark, by which it is found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._mark = f"DEMO_MARK={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        settings = {
            name: value,
            "TMPDIR": str(self.temporary),
            "EDIT_JOBS_DATABASE_URL": "of another service",
        }
        self.process = subprocess.Popen(
            DEMO,
            cwd=folder,
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def read_until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if text in line:
                return
        raise AssertionError(f"the demo ended before it said {text!r}")

    def end(self) -> tuple[int, str, str]:
        printed, said = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, printed, said

    def alive(self) -> dict[int, str]:
        """The command lines of all processes it has started and that live."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    yield demo
    demo.process.kill()
    demo.process.communicate()


def test_the_demo_runs_one_job_to_its_verified_webhook_and_leaves_only_pictures(demo: Demo) -> None:
    status, printed, said = demo.end()
    assert (status, said) == (0, "")
    events = re.findall(r"^ +[\d.]+ s +(job\.\w+)", printed, re.MULTILINE)
    assert events[:3] == ["job.accepted", "job.submitting", "job.submitted"]
    assert events[-2:] == ["job.completed", "job.completed"]  # on the timeline, and by webhook
    assert "verifies it" in printed
    assert ".edit-jobs/demo/before.png" in printed
    assert ".edit-jobs/demo/after-1.png" in printed
    assert "\x1b" not in printed

    before, after = (
        _picture(demo.folder / ".edit-jobs/demo" / name) for name in ("before.png", "after-1.png")
    )
    assert ImageChops.difference(before.resize(after.size), after).getbbox() is not None

    assert demo.alive() == {}
    assert list(demo.temporary.iterdir()) == []
    assert sorted(path.name for path in demo.folder.iterdir()) == [".edit-jobs", "tmp"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_leaves_nothing(demo: Demo, number: signal.Signals) -> None:
    demo.read_until("postgres")
    assert any("postgres" in command for command in demo.alive().values())
    demo.process.send_signal(number)
    status, _, _ = demo.end()
    assert status == 128 + number
    assert demo.alive() == {}
    assert list(demo.temporary.iterdir()) == []


def test_a_demo_that_cannot_go_on_names_what_did_not_happen(demo: Demo) -> None:
    demo.read_until("Creating a tenant")
    (api,) = (pid for pid, command in demo.alive().items() if " api " in command)
    os.kill(api, signal.SIGKILL)
    status, _, said = demo.end()
    assert status == 1
    assert re.match(r"error: POST http://127\.0\.0\.1:\d+/v1/jobs got no answer: ", said)
    assert "The log of api-0 ends with:" in said
    assert "Traceback" not in said
    assert demo.alive() == {}
    assert list(demo.temporary.iterdir()) == []


def _picture(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        return picture.convert("RGB")
