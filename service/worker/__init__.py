"""The worker process: the engine that does the work, and arq, which hears the bells.

arq carries nothing but bells, because a task that lives as long as its job makes arq read all running tasks
again at every poll, and a killed worker's tasks wait for the longest time-out of all.
`arq service.worker.WorkerSettings` starts the same engine with arq as the outer process, which ends when
Redis does; `edit-jobs worker` goes on without.
"""

from typing import Any

__all__ = ["WorkerSettings"]


def __getattr__(name: str) -> Any:
    if name == "WorkerSettings":
        from service.worker.hearing import worker_settings  # noqa: PLC0415

        return worker_settings()
    raise AttributeError(name)
