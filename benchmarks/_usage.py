"""CPU and memory of processes, as the kernel counts them in `/proc`."""

import os
from pathlib import Path

from service.dev.stack import Stack

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def cpu_seconds(pid: int) -> float:
    """What this process and its threads have used so far."""
    return sum(_ticks(pid)[:2]) / _TICK


def family_cpu_seconds(pid: int) -> float:
    """The same with all its children, those that have ended included: Postgres and its backends."""
    ticks = sum(_ticks(pid))
    for child in (_PROC / f"{pid}/task/{pid}/children").read_text().split():
        try:
            ticks += sum(_ticks(int(child)))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended just now; its parent has counted it, or will
    return ticks / _TICK


def resident_megabytes(pid: int) -> float:
    """What it holds in RAM."""
    for line in (_PROC / f"{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def by_part(stack: Stack) -> dict[str, float]:
    """CPU seconds of each kind of process that is ours; the simulator and the receiver are not."""
    return {
        "api": sum(cpu_seconds(api.pid) for api in stack.apis),
        "worker": sum(cpu_seconds(worker.pid) for worker in stack.workers),
        "postgres": family_cpu_seconds(stack.postgres.process.pid),
        "redis": cpu_seconds(stack.redis.process.pid),
    }


def _ticks(pid: int) -> tuple[int, int, int, int]:
    """User and system time, its own and that of children it has waited for."""
    fields = (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, childrens_user, childrens_system = fields[11:15]
    return int(user), int(system), int(childrens_user), int(childrens_system)
