"""Real processes, each with a log, that never outlive the one who started them.

A process inherits a lock on its pid file and holds it for as long as it lives: whoever owns the folder next
can tell a leftover from a pid that is somebody else's by now.
"""

import contextlib
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
POLL_SECONDS = 0.02
LEFTOVER_SECONDS = 5.0
PORTS = range(20_000, 32_768)  # from there on the kernel, as a rule, hands ports to clients

# The kernel takes the end of the thread that forked for the parent's death: so one thread forks, and stays.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fork")


class ProcessError(Exception):
    """A process did not do what it was started for; the message ends with the last lines of its log."""


class FolderInUseError(Exception):
    """Another process works in this folder."""


def own(folder: Path) -> int:
    """Make `folder` if need be and take it for this process alone; closing the descriptor gives it back."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FolderInUseError(f"{folder} is in use by another edit-jobs") from None
    return descriptor


def reserve_port() -> int:
    """A TCP port of 127.0.0.1 that is the caller's for as long as this process lives.

    A socket stays bound to it and does not listen: beside it a server can that sets SO_REUSEADDR, as servers
    do, and the kernel gives the port to nobody else. Not even to a client that asks whether the server is
    there yet: where the kernel's range for clients is wide, it might get this port, and be in the way.
    """
    for port in random.sample(PORTS, k=100):
        with contextlib.suppress(OSError):
            # First as one who shares with nobody: what another process has reserved is refused only so.
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            with socket.socket() as reservation:
                reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                reservation.bind(("127.0.0.1", port))
                reservation.detach()  # so that nothing closes it
                return port
    raise ProcessError(f"no free port was found from {PORTS.start} to {PORTS.stop - 1}")


def launched(program: Sequence[str], *, death_signal: int = signal.SIGTERM, user: str = "") -> list[str]:
    """The command line that runs `program` so that it dies with us, as `user` (`uid:gid`) if one is given."""
    return [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(death_signal)), user, *program]


class Process:
    """One program, started as often as wanted; it and what it starts are a session of their own.

    All methods block, for milliseconds but for `start` (until `ready`) and `stop` (up to its timeout).
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        name: str,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        ready: Callable[["Process"], bool] = lambda process: True,
        ready_seconds: float = 30.0,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str = "",
        stale: Path | None = None,
    ) -> None:
        """`folder` belongs to the caller (see `own`) and receives `name`.log and `name`.pid.

        `stale` is a file that an earlier life may have left and that would be in the way.
        """
        self.name = name
        self.log = folder / f"{name}.log"
        self._program = list(program)
        self._folder = folder
        self._environment = dict(os.environ if environment is None else environment)
        self._ready = ready
        self._ready_seconds = ready_seconds
        self._stop_signal = stop_signal
        self._user = user
        self._stale = stale
        self._log_start = 0
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ProcessError(f"{self.name} is not running")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def output(self) -> str:
        """What it has printed since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def start(self) -> None:
        """Return when it is ready. Raises ProcessError as soon as it has died, or after `ready_seconds`."""
        if self.running:
            return
        lock = self._end_leftover()
        try:
            if self._stale is not None:
                self._stale.unlink(missing_ok=True)
            with self.log.open("ab") as log:
                self._log_start = log.tell()
                child = self._child = _forker.submit(self._fork, log.fileno(), lock).result()
            os.pwrite(lock, f"{child.pid:<20}\n".encode(), 0)
        finally:
            os.close(lock)
        deadline = time.monotonic() + self._ready_seconds
        while not self._ready(self):
            if child.poll() is not None:
                raise ProcessError(self._said(f"{self.name} ended with status {child.returncode}"))
            if time.monotonic() > deadline:
                raise ProcessError(self._said(f"{self.name} was not ready after {self._ready_seconds:g} s"))
            time.sleep(POLL_SECONDS)

    def stop(self, timeout: float = 10.0) -> None:
        """Ask it to end, and after `timeout` seconds no longer ask."""
        if (child := self._child) is not None:
            child.send_signal(self._stop_signal)
            self._signal_all(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """kill -9, with everything it started."""
        if (child := self._child) is not None:
            self._signal_all(signal.SIGKILL)
            child.wait()
            self._child = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop it in its tracks, connections open, as a paused machine would."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _fork(self, log: int, lock: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603, our own programs
            launched(self._program, death_signal=self._stop_signal, user=self._user),
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            start_new_session=True,
        )

    def _end_leftover(self) -> int:
        """The lock on the pid file, once whoever still holds it from an earlier life is gone."""
        lock = os.open(self._folder / f"{self.name}.pid", os.O_RDWR | os.O_CREAT, 0o600)
        for ask in (None, self._stop_signal, signal.SIGKILL):
            if ask is not None:
                pid = int(os.pread(lock, 20, 0))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, ask)
                    os.kill(pid, signal.SIGCONT)
            # The kernel has told it already that its parent died, so at first just wait.
            deadline = time.monotonic() + LEFTOVER_SECONDS
            while time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return lock
                time.sleep(POLL_SECONDS)
        os.close(lock)
        raise ProcessError(f"{self.name} of an earlier start in {self._folder} cannot be ended")

    def _signal_all(self, number: signal.Signals) -> None:
        if self._child is not None:
            # By its group, which is there as long as one of it lives; gone is as good as killed.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    def _said(self, what: str) -> str:
        return "\n".join([f"{what}; its log ({self.log}) ends with:", *self.output.splitlines()[-20:]])
