"""schemathesis on the running service: all of its checks on every call of the description, and no failure.

It makes requests that fit the description and requests that do not, by example, by enumeration, by chance and
in sequences. `make fuzz` is the same for longer.
"""

import asyncio
import base64
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from service.database import Database
from service.dev.processes import Process, reserve_port
from service.jobs.job import Job
from service.tenants.issuing import Wish, issue, issue_to_operator
from service.tenants.keys import SCOPES
from service.tenants.tenant import Tenant

FOLDER = Path(__file__).parents[1] / "fuzz"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2"))
"""Of each call in each phase. So few take a quarter of a minute, most of it for what is enumerated."""
SEED = os.environ.get("FUZZ_SEED", "1")
SUMMARY = re.compile(r"=+ (.*\d+\.\d+s) =+")


@dataclass(frozen=True, slots=True)
class Served:
    """A running API, and what callers may use of it."""

    url: str
    environment: dict[str, str]


@pytest.fixture
def environment(database_url: str, api_database_url: str, redis_url: str) -> dict[str, str]:
    """Of an API on the test's own database."""
    return {
        **os.environ,
        "EDIT_JOBS_DATABASE_URL": database_url,
        "EDIT_JOBS_API_DATABASE_URL": api_database_url,
        "EDIT_JOBS_REDIS_URL": redis_url,
        "EDIT_JOBS_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
    }


@pytest.fixture
async def served(
    tmp_path: Path,
    environment: dict[str, str],
    database: Database,
    tenant: Tenant,
    accepted: Callable[..., Awaitable[Job]],
) -> AsyncIterator[Served]:
    async with database.transaction() as connection:
        wish = Wish(name="fuzz", mode="live", scopes=SCOPES)
        key_id, key = await issue(connection, tenant.id, wish, actor="test")
        admin_id, admin_key = await issue_to_operator(connection, Wish(name="fuzz"), actor="test")
        await connection.execute(text("UPDATE tenants SET requests_per_second = 100000, max_keys = 1000"))
    jobs = [await accepted() for _ in range(40)]
    port = reserve_port()
    api = Process(
        [sys.executable, "-m", "service.cli", "api", "--port", str(port)],
        name="api",
        folder=tmp_path,
        ready=lambda process: "api.listening" in process.output and _answers(port),
        environment=environment | {"EDIT_JOBS_PUBLIC_URL": f"http://127.0.0.1:{port}"},
    )
    await asyncio.to_thread(api.start)
    yield Served(
        f"http://127.0.0.1:{port}",
        {
            "FUZZ_KEY": key,
            "FUZZ_ADMIN_KEY": admin_key,
            "FUZZ_JOBS": ",".join(str(job.id) for job in jobs),
            "FUZZ_KEPT": ",".join(map(str, (tenant.id, key_id, admin_id))),
        },
    )
    await asyncio.to_thread(api.stop)
    assert "request.failed" not in api.output


async def test_schemathesis_finds_nothing(
    served: Served, record_property: Callable[[str, object], None]
) -> None:
    # One worker: hypothesis's cache of lambdas, which all threads share, does not bear two.
    command = "-m schemathesis.cli --config-file schemathesis.toml --no-color run --checks all --workers 1"
    found = await asyncio.create_subprocess_exec(
        sys.executable,
        *command.split(),
        *("--max-examples", str(EXAMPLES), "--seed", SEED),
        *("--url", served.url, f"{served.url}/schema/openapi.json"),
        cwd=FOLDER,
        env=os.environ | served.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await found.communicate())[0].decode()

    assert found.returncode == 0, output
    assert "Selected" in output
    tested = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", output)
    assert tested
    assert len(set(tested.groups())) == 1, "every call was tried"
    (line,) = SUMMARY.findall(output)
    generated = re.search(r"Test cases:\n\s+(.*)\n", output)
    record_property("schemathesis", f"{line}: {generated[1] if generated else ''}, {tested[1]} calls")


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
    except httpx.TransportError:
        return False
