"""Receivers of webhooks on bare sockets: an HTTP library would use more CPU than the sender measured."""

import asyncio
import time
from contextlib import suppress

from service.dev.processes import reserve_port

_END = b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Hook:
    """One of them: keeps when each event came first, as `time.time()`; may hang, or be gone."""

    def __init__(self) -> None:
        self.port = reserve_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.came: dict[str, float] = {}
        self.hangs = False
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=500)

    async def stop(self) -> None:
        """Be gone: connections are refused."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(_END)).lower()
                await reader.readexactly(int(_value(head, b"content-length")))
                if self.hangs:
                    await reader.read()
                    break
                self.came.setdefault(_value(head, b"webhook-id").decode(), time.time())
                writer.write(_ANSWER)
        self._open.discard(writer)
        writer.transport.abort()


def _value(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n" + name + b":")[2].partition(b"\r\n")[0].strip()
