"""`edit-jobs` run in this process, in a thread of its own, where it has an event loop of its own."""

import asyncio
import json
import os
from typing import Any

import pytest
from harness.world import KEY, PUBLIC
from typer.testing import CliRunner, Result

from service.cli.application import app


class Command:
    """Runs commands on these servers; what is set in this shell is meant for another service."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, database_url: str, redis_url: str) -> None:
        for name in list(os.environ):
            if name.startswith("EDIT_JOBS_"):
                monkeypatch.delenv(name)
        given = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SECRET_KEY": KEY,
            "PUBLIC_URL": PUBLIC,
            "UPSTREAM_TOKEN": "tok",
            "UPSTREAM_URL": "http://127.0.0.1:1",
        }
        for name, value in given.items():
            monkeypatch.setenv(f"EDIT_JOBS_{name}", value)

    async def __call__(self, *arguments: str, told: str | None = None) -> Result:
        """With `told` on its standard input."""
        result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), input=told)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    async def good(self, *arguments: str, told: str | None = None) -> str:
        """What it prints; it has to succeed."""
        result = await self(*arguments, told=told)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    async def refused(self, *arguments: str) -> str:
        """What it says of why not; it must not succeed."""
        result = await self(*arguments)
        assert result.exit_code != 0, result.stdout
        return result.stderr

    async def decoded(self, *arguments: str) -> Any:
        """What it prints as JSON."""
        return json.loads(await self.good(*arguments, "--json"))
