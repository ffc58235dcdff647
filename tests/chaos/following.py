"""Reading the feeds of all tenants through all the faults, each on from where it ended."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
from chaos.load import Tenant

PAUSE_SECONDS = 0.5
PAGE = 200

Get = Callable[[str, Tenant], Awaitable[tuple[int, Any]]]
"""What a path is answered."""


class Following:
    """The events of each tenant in the order in which they came, by its name."""

    def __init__(self, get: Get, tenants: Sequence[Tenant]) -> None:
        self._get = get
        self._tenants = tenants
        self._after: dict[str, str] = {}
        self.seen: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    async def run(self) -> None:
        """Read on for ever; what cannot be read now is read the next time."""
        while True:
            for tenant in self._tenants:
                try:
                    await self.read_on(tenant)
                except (aiohttp.ClientError, TimeoutError, OSError):
                    continue
            await asyncio.sleep(PAUSE_SECONDS)

    async def read_on(self, tenant: Tenant) -> None:
        """To the end of the feed, or to where it is not answered."""
        has_more = True
        while has_more:
            code, page = await self._get(f"/v1/events?limit={PAGE}{self._after.get(tenant.name, '')}", tenant)
            if code != 200:
                return
            self.seen[tenant.name] += page["data"]
            self._after[tenant.name] = f"&after={page['next_cursor']}"
            has_more = page["has_more"]
