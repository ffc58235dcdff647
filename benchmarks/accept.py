"""CPU of the API for one `POST /v1/jobs`, beside the least a Litestar handler with one INSERT takes.

The servers run on the same Postgres and take turns, two thousand POSTs each. A bare handler decodes the body
and stores it; ours knows the caller by his key, validates, stores job, timeline and labels, and rings.
The bare one runs twice: with asyncpg's pool as it comes, and without the reset after each use, as ours.
"""

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import uvicorn
from litestar import Litestar, Request, post
from redis.asyncio import Redis

from benchmarks._callers import Callers
from benchmarks._report import part_ready, progress, tell
from benchmarks._usage import cpu_seconds
from service.dev.processes import Process, reserve_port
from service.dev.stack import DATABASE, HOST, Stack
from service.queue import QUEUE

BARE, BARE_WITHOUT_RESET, OURS = "bare", "bare without reset", "ours"
ROUNDS, POSTS, WARM_UP, CONNECTIONS = 5, 2_000, 1_000, 8
BODY = msgspec.json.encode(
    {
        "input": {
            "prompt": "Make it a rainy evening, with lights in the windows",
            "image_urls": ["https://example.com/house.jpg"],
        },
        "callback_url": "https://example.com/hook",
        "external_id": "order-17",
        "metadata": {"team": "ads"},
    }
)


def serve_bare(port: int, database: str, *, resets: bool) -> None:
    """What our API is compared with."""

    @asynccontextmanager
    async def pool(app: Litestar) -> AsyncIterator[None]:
        options = {} if resets else {"reset": _nothing}
        async with asyncpg.create_pool(database, min_size=10, max_size=10, **options) as app.state.pool:
            yield

    @post("/v1/jobs", status_code=202)
    async def accept(request: Request[Any, Any, Any], data: dict[str, Any]) -> dict[str, Any]:
        job_id = uuid4()
        async with request.app.state.pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO bare (id, input) VALUES ($1, $2)", job_id, msgspec.json.encode(data).decode()
            )
        return {"id": str(job_id), "status": "accepted", "input": data["input"]}

    app = Litestar([accept], lifespan=[pool], logging_config=None, openapi_config=None)
    uvicorn.run(
        app, host=HOST, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error"
    )


async def _nothing(connection: Any) -> None:
    pass


async def measure(folder: Path) -> dict[str, list[float]]:
    """Milliseconds of CPU per POST, of each round."""
    async with Stack(folder, workers=0, progress=part_ready) as stack:
        database = stack.postgres.url(DATABASE, scheme="postgresql")
        connection = await asyncpg.connect(database)
        await connection.execute("CREATE TABLE bare (id uuid PRIMARY KEY, input json NOT NULL)")
        await stack.create_tenant("bench")
        # Counted all the same, and never refused.
        await connection.execute("UPDATE tenants SET requests_per_second = 100000, max_queued = 1000000")
        await connection.close()
        key = await stack.create_key("bench")
        hearing = asyncio.create_task(hear(stack.redis.url()))
        bares = {name: bare(name, folder, database) for name in (BARE, BARE_WITHOUT_RESET)}
        servers = bares | {OURS: (stack.apis[0], stack.api_url)}
        found: dict[str, list[float]] = {name: [] for name in servers}
        try:
            for server, _ in bares.values():
                await asyncio.to_thread(server.start)
            for number in range(ROUNDS + 1):
                for name, (server, url) in servers.items():
                    callers = Callers(url, token=key, connections=CONNECTIONS)
                    posts = POSTS if number else WARM_UP
                    before = cpu_seconds(server.pid)
                    await callers.post_all("/v1/jobs", [BODY] * posts)
                    cost = (cpu_seconds(server.pid) - before) / posts * 1000
                    callers.close()
                    if number:
                        found[name].append(cost)
                        progress(f"  round {number}: {name} {cost:.3f} ms")
        finally:
            hearing.cancel()
            for server, _ in bares.values():
                await asyncio.to_thread(server.stop)
        return found


def bare(name: str, folder: Path, database: str) -> tuple[Process, str]:
    """A process that serves the bare handler, and its URL."""
    port = reserve_port()
    program = [sys.executable, __file__, name, str(port), database]
    process = Process(program, name=name.replace(" ", "-"), folder=folder, ready=listens(port))
    return process, f"http://{HOST}:{port}"


def listens(port: int) -> Callable[[Process], bool]:
    """Whether somebody answers there."""

    def ready(_: Process) -> bool:
        with socket.socket() as client:
            return client.connect_ex((HOST, port)) == 0

    return ready


async def hear(url: str) -> None:
    """Take the bells away as workers would; with too many unheard the API rings no more, which is cheaper."""
    redis = Redis.from_url(url)
    with suppress(asyncio.CancelledError):
        while True:
            await redis.delete(QUEUE)
            await asyncio.sleep(0.1)
    await redis.aclose()


def main() -> None:
    progress("accept: CPU of the API per POST")
    with tempfile.TemporaryDirectory(prefix="edit-jobs-bench-") as folder:
        found = asyncio.run(measure(Path(folder)))
    least = {name: min(costs) for name, costs in found.items()}
    usual = {name: median(costs) for name, costs in found.items()}
    rows: list[list[object]] = [["ms CPU per POST", "least", "median"]]
    rows += [[name, f"{least[name]:.3f}", f"{usual[name]:.3f}"] for name in found]
    ratios = {name: (least[OURS] / least[name], usual[OURS] / usual[name]) for name in found if name != OURS}
    rows += [[f"ours : {name}", *both] for name, both in ratios.items()]
    tell("accept", rows, {"ms": found, "ratios": ratios, "promised": 1.5})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve_bare(int(sys.argv[2]), sys.argv[3], resets=sys.argv[1] == BARE)
    else:
        main()
