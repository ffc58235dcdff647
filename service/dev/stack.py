"""The whole service on one machine, each part a real process: what `dev`, `demo` and end-to-end tests run on.

Postgres and Redis are embedded, RunComfy is the simulator and the caller is the receiver. Parts that do not
need each other start side by side, and all of them end with the block.
"""

import asyncio
import base64
import http.client
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, Self

import asyncpg
import msgspec

from service.dev.embedded import Postgres, Redis
from service.dev.processes import Process, ProcessError, own, reserve_port
from service.tenants.keys import SCOPES

HOST = "127.0.0.1"
DATABASE = "edit_jobs"
API_ROLE = "edit_jobs_web"
PREFIX = "EDIT_JOBS_"
COMMAND = (sys.executable, "-m", "service.cli")
RECEIVER = "import sys; from service.dev.receiver import run; run(port=int(sys.argv[1]))"
# The simulator's jobs take seconds, so what follows them is quicker than in production.
PACE = {"POLL_COST": "0.001", "WEBHOOK_RETRY_SCHEDULE": "0,1,2,5,10,30,60"}


class Part(Protocol):
    """What can be started and stopped; all of it blocks."""

    @property
    def name(self) -> str: ...
    @property
    def running(self) -> bool: ...
    def start(self) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> None: ...


class Tenant(msgspec.Struct, frozen=True):
    """As `edit-jobs tenants create --json` prints it."""

    id: str
    name: str
    signing_secret: str


class Stack:
    """Everything in `folder`, each part's log included. `durable` is for data that is to be kept.

    The parts (`postgres redis simulator receiver apis workers`) can each be stopped, killed and started again
    while the stack runs; those calls block.
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        apis: int = 1,
        port: int | None = None,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        progress: Callable[[str, float], object] = lambda part, seconds: None,
    ) -> None:
        """`port` is the first API's. `settings` go to all processes, named without their prefix.

        `progress` hears of each part that is ready, and how many seconds it took.
        """
        self.folder = folder.absolute()
        self.postgres = Postgres(self.folder / "postgres", durable=durable)
        self.redis = Redis(self.folder / "redis")
        api_ports = [port or reserve_port(), *(reserve_port() for _ in range(1, apis))]
        simulator_port, receiver_port = reserve_port(), reserve_port()
        self.api_urls = [f"http://{HOST}:{number}" for number in api_ports]
        self.api_url = self.api_urls[0]
        self.simulator_url = f"http://{HOST}:{simulator_port}"
        self.receiver_url = f"http://{HOST}:{receiver_port}"
        self._progress = progress
        self._owned: int | None = None
        own_settings = {
            "DATABASE_URL": self.postgres.url(DATABASE),
            "API_DATABASE_URL": self.postgres.url(DATABASE, role=API_ROLE),
            "REDIS_URL": self.redis.url(),
            "UPSTREAM_URL": self.simulator_url,
            "UPSTREAM_TOKEN": "simulated",
            "PUBLIC_URL": self.api_url,
            "SECRET_KEY": _kept_secret(self.folder),
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        chosen = own_settings | PACE | dict(settings or {})
        # What is set in this shell is meant for another service.
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._environment |= {PREFIX + name: value for name, value in chosen.items()}
        self.simulator = self._process(
            "simulator", *COMMAND, "simulator", "--port", str(simulator_port), ready=_listens(simulator_port)
        )
        self.receiver = self._process(
            "receiver", sys.executable, "-c", RECEIVER, str(receiver_port), ready=_listens(receiver_port)
        )
        self.apis = [
            self._process(
                f"api-{index}", *COMMAND, "api", "--host", HOST, "--port", str(number), ready=_healthy(number)
            )
            for index, number in enumerate(api_ports)
        ]
        self.workers = [
            self._process(f"worker-{index}", *COMMAND, "worker", ready=_started) for index in range(workers)
        ]

    async def __aenter__(self) -> Self:
        """Raises EmbeddedError, FolderInUseError or ProcessError, and then leaves nothing running."""
        self._owned = own(self.folder)
        try:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.start(self.simulator))
                    group.create_task(self.start(self.receiver))
                    group.create_task(self.start(self.redis))
                    group.create_task(self._start_database())
                async with asyncio.TaskGroup() as group:
                    for part in (*self.apis, *self.workers):
                        group.create_task(self.start(part))
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    @property
    def parts(self) -> tuple[Part, ...]:
        """In the order they can be started in."""
        return (self.postgres, self.redis, self.simulator, self.receiver, *self.apis, *self.workers)

    async def start(self, part: Part) -> None:
        """Start a part, also one that died. Raises EmbeddedError or ProcessError."""
        began = time.monotonic()
        starting = asyncio.create_task(asyncio.to_thread(part.start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A thread cannot be cancelled. It ends when its process does, and only then can `_stop` find all.
            part.kill()
            await asyncio.wait([starting])
            raise
        self._progress(part.name, time.monotonic() - began)

    async def command(self, *arguments: str) -> bytes:
        """What `edit-jobs` with these arguments prints, run on this stack. Raises ProcessError."""
        child = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            env=self._environment,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            printed, said = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise ProcessError(
                f"edit-jobs {' '.join(arguments)} failed:\n{said.decode(errors='replace').strip()}"
            )
        return printed

    async def create_tenant(self, name: str) -> Tenant:
        return msgspec.json.decode(await self.command("tenants", "create", name, "--json"), type=Tenant)

    async def create_key(self, tenant: str) -> str:
        """A new API key of the tenant with this name, that may do everything."""
        scopes = [part for scope in SCOPES for part in ("--scope", scope)]
        key: str = msgspec.json.decode(await self.command("keys", "create", tenant, "--json", *scopes))["key"]
        return key

    def _process(self, name: str, *program: str, ready: Callable[[Process], bool]) -> Process:
        return Process(program, name=name, folder=self.folder, environment=self._environment, ready=ready)

    async def _start_database(self) -> None:
        await self.start(self.postgres)
        began = time.monotonic()
        connection = await asyncpg.connect(self.postgres.url(scheme="postgresql"))
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()
        await self.command("migrate")
        self._progress("migrate", time.monotonic() - began)

    async def _stop(self) -> None:
        """Those who use a part before the part."""
        for parts in (
            (*self.apis, *self.workers),
            (self.simulator, self.receiver),
            (self.postgres, self.redis),
        ):
            await asyncio.gather(*(asyncio.to_thread(part.stop) for part in parts))
        if self._owned is not None:
            os.close(self._owned)
            self._owned = None


def _listens(port: int) -> Callable[[Process], bool]:
    def ready(_: Process) -> bool:
        with socket.socket() as client:
            return client.connect_ex((HOST, port)) == 0

    return ready


def _healthy(port: int) -> Callable[[Process], bool]:
    def ready(_: Process) -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    return ready


def _started(worker: Process) -> bool:
    return "worker.started" in worker.output


def _kept_secret(folder: Path) -> str:
    """The key that what is stored in this folder's database is encrypted with: made once."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (file := folder / "secret.key").exists():
        file.touch(mode=0o600)
        file.write_text(base64.b64encode(os.urandom(32)).decode())
    return file.read_text()
