"""Callers on bare sockets: any HTTP library would use more CPU than the service that is measured."""

import asyncio
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

IDLE_SECONDS = 2.0
"""A connection idle for longer is not used again: servers close theirs after five."""

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


class Callers:
    """So many connections to one server, kept open; each sends one request at a time."""

    def __init__(self, url: str, *, token: str, connections: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._token = token
        self._connections = connections
        self._free = asyncio.Semaphore(connections)
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of a 2xx answer; any other raises RuntimeError. Nothing is repeated."""
        request = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAccept: */*\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        async with self._free:
            reader, writer = await self._connected()
            writer.write(request)
            head = await reader.readuntil(_END)
            answer = await reader.readexactly(int(head.lower().partition(_LENGTH)[2].split(b"\r\n")[0]))
            self._idle.append((time.monotonic(), reader, writer))
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"{head.splitlines()[0].decode()}: {answer.decode()}")
        return answer

    async def post_all(self, path: str, bodies: Iterable[bytes]) -> list[bytes]:
        """Post them as fast as the connections allow; the answers in the order of the bodies."""
        waiting = enumerate(bodies)
        answers: dict[int, bytes] = {}

        async def one() -> None:
            for number, body in waiting:
                answers[number] = await self.post(path, body)

        await asyncio.gather(*(one() for _ in range(self._connections)))
        return [answers[number] for number in sorted(answers)]

    def close(self) -> None:
        """Close all connections, none of which may be in use."""
        for _, _, writer in self._idle:
            writer.close()
        self._idle.clear()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < IDLE_SECONDS:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)
