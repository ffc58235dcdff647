"""The pictures as they are asked for: drawn at the first GET, in a thread, and the latest few kept.

An input whose path is `/samples/…` is one of ours whatever its host, so that a demo can name an https
address that does not exist. Any other is fetched, and what cannot be read becomes a placeholder.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import aiohttp
from PIL import Image

from service.dev.simulator import pictures
from service.dev.simulator.edit import Edit

KEPT = 32
FETCH_SECONDS = 3
LARGEST_FETCH = 10 * 1024 * 1024
SAMPLES = "/samples/"


async def fetched(url: str) -> bytes | None:
    """The bytes behind a URL, or None within three seconds."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS)) as session,
            session.get(url, raise_for_status=True) as answer,
        ):
            content = bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                content += chunk
                if len(content) > LARGEST_FETCH:
                    return None
            return bytes(content)
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
        return None


class Gallery:
    def __init__(self, *, fetch: Callable[[str], Awaitable[bytes | None]] = fetched) -> None:
        self._fetch = fetch
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    async def sample(self, name: str) -> bytes:
        return await self._drawn(f"sample {name}", lambda: pictures.encoded(pictures.landscape(name), "png"))

    async def output(self, request_id: str, edit: Edit, *, index: int) -> bytes:
        key = f"output {request_id} {index}"
        sample = sample_name(edit.image_url)
        content = None if sample or key in self._kept else await self._fetch(edit.image_url)

        def draw() -> bytes:
            source = pictures.landscape(sample) if sample else _source(content, edit)
            return pictures.encoded(pictures.edited(source, edit, index=index), edit.format)

        return await self._drawn(key, draw)

    async def _drawn(self, key: str, draw: Callable[[], bytes]) -> bytes:
        content = self._kept.get(key)
        if content is None:
            content = await asyncio.to_thread(draw)
        self._kept[key] = content
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return content


def sample_name(url: str) -> str | None:
    """The sample a URL names, on any host; None if it names none of ours."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    if not path.startswith(SAMPLES):
        return None
    return path.removeprefix(SAMPLES).removesuffix(".png") or None


def _source(content: bytes | None, edit: Edit) -> Image.Image:
    picture = pictures.opened(content) if content is not None else None
    return picture or pictures.placeholder(edit.image_url, size=edit.size)
