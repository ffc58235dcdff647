"""Tenants, keys and `dev` by the real command line, on real servers."""

import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from service.dev.processes import ProcessError
from service.dev.stack import Stack

SECONDS = 60


async def _json(stack: Stack, *arguments: str) -> Any:
    return json.loads(await stack.command(*arguments, "--json"))


async def test_a_tenant_is_made_with_its_limits_and_its_secret(stack: Stack) -> None:
    made = await _json(stack, "tenants", "create", "shop", "--max-in-flight", "7", "--weight", "3")
    assert list(made) == ["id", "name", "signing_secret"]
    assert made["name"] == "shop"
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["signing_secret"])
    (listed,) = [tenant for tenant in await _json(stack, "tenants", "list") if tenant["name"] == "shop"]
    assert (listed["id"], listed["max_in_flight"], listed["weight"]) == (made["id"], 7, 3)
    assert (listed["max_queued"], listed["max_keys"], listed["disabled_at"]) == (100_000, 100, None)


async def test_a_name_that_is_taken_is_refused_and_changes_nothing(stack: Stack) -> None:
    await stack.create_tenant("twice")
    before = await _json(stack, "tenants", "list")
    with pytest.raises(ProcessError, match="error: There is a tenant named twice already"):
        await stack.create_tenant("twice")
    assert await _json(stack, "tenants", "list") == before


async def test_limits_are_changed_one_by_one(stack: Stack) -> None:
    made = await stack.create_tenant("limited")
    changed = await _json(stack, "tenants", "set", "limited", "--weight", "5")
    assert changed == {
        "id": made.id,
        "name": "limited",
        "max_in_flight": 1000,
        "max_queued": 100_000,
        "requests_per_second": 1000,
        "max_endpoints": 20,
        "max_keys": 100,
        "weight": 5,
    }
    again = await _json(stack, "tenants", "set", made.id, "--max-in-flight", "0", "--max-keys", "3")
    assert again == changed | {"max_in_flight": 0, "max_keys": 3}


async def test_a_key_opens_the_api(stack: Stack) -> None:
    await stack.create_tenant("caller")
    made = await _json(stack, "keys", "create", "caller", "--name", "backend")
    assert list(made) == ["id", "key", "tenant", "mode", "scopes"]
    assert (made["tenant"], made["mode"], made["scopes"]) == ("caller", "live", ["jobs:read", "jobs:write"])
    assert _status(stack.api_url, made["key"]) == 200
    (listed,) = [key for key in await _json(stack, "keys", "list") if key["id"] == made["id"]]
    assert (listed["name"], listed["prefix"], listed["revoked_at"]) == ("backend", made["key"][:12], None)
    assert made["key"].encode() not in await stack.command("keys", "list")


async def test_a_key_that_was_revoked_opens_nothing(stack: Stack) -> None:
    await stack.create_tenant("former")
    made = await _json(stack, "keys", "create", "former")
    await stack.command("keys", "revoke", made["id"])
    assert _status(stack.api_url, made["key"]) == 401
    (listed,) = [key for key in await _json(stack, "keys", "list") if key["id"] == made["id"]]
    assert listed["revoked_at"] is not None


async def test_a_key_allows_what_it_was_made_for(stack: Stack) -> None:
    await stack.create_tenant("narrow")
    made = await _json(stack, "keys", "create", "narrow", "--scope", "jobs:write")
    assert made["scopes"] == ["jobs:write"]
    assert _status(stack.api_url, made["key"]) == 403


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["keys", "create", "nobody-knows"], "error: There is no tenant nobody-knows"),
        (["tenants", "set", "nobody-knows", "--weight", "2"], "error: There is no tenant nobody-knows"),
        (["keys", "revoke", "01890a5d-ac96-774b-bcce-b302099a8057"], "error: There is no key 01890a5d"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_what_is_not_there_is_named(stack: Stack, command: list[str], message: str) -> None:
    with pytest.raises(ProcessError, match=message):
        await stack.command(*command)


async def test_a_scope_that_does_not_exist_is_refused_with_those_that_do(stack: Stack) -> None:
    await stack.create_tenant("curious")
    with pytest.raises(
        ProcessError, match=r"There is no scope everything. Scopes are: jobs:read, jobs:write"
    ):
        await stack.command("keys", "create", "curious", "--scope", "everything")


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
def port() -> int:
    """Below the ports that the kernel hands to clients."""
    for number in random.sample(range(10_000, 20_000), k=50):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return number
    raise AssertionError("no free port")


@pytest.fixture
def started() -> Iterator[list[Dev]]:
    started: list[Dev] = []
    yield started
    for dev in started:
        dev.process.kill()
        dev.process.communicate()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the lines to try are curl's")
def test_dev_does_what_it_says_one_can_try_and_keeps_its_key(
    tmp_path: Path, port: int, started: list[Dev]
) -> None:
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
