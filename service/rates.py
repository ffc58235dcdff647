"""How many requests a tenant may make in a second: counted in Redis, for all processes of the API together.

A second is one of Redis's own clock. A process takes what it will need of it and gives that out by itself, so
that most requests ask nobody: as much as waits now, or a tenth of what it let through in this second or the
last. What it has not used by the end of the second is gone.

So in no second of that clock do all processes together let through more than the limit. They may refuse too
early, by what others hold unused: by a tenth of what these let through in this second or the last, at most.

Redis may be away. Then nothing is counted and everything is let through, which is told and counted; and when
Redis forgets everything, the second under way begins anew.
"""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from service.telemetry import log, metrics

LIMIT = "requests_per_second"
"""What the limit is called, where a tenant has it and where a refusal names it."""
PATIENCE_SECONDS = 0.25
"""How long a request may wait for Redis."""
AWAY_SECONDS = 1.0
"""After Redis did not answer, nobody waits for it again before."""
_COMPLAIN_SECONDS = 10.0

# ARGV: how many are wanted, and the limit. Answers: how many are granted, how many are left for others, which
# second it is, and how many microseconds of it are left.
_TAKE = """
local time = redis.call('TIME')
local held = redis.call('HMGET', KEYS[1], 'second', 'taken')
local free = tonumber(ARGV[2])
if held[1] == time[1] then free = free - tonumber(held[2]) end
local granted = math.max(0, math.min(tonumber(ARGV[1]), free))
if granted > 0 then
    redis.call('HSET', KEYS[1], 'second', time[1], 'taken', ARGV[2] - free + granted)
    redis.call('EXPIRE', KEYS[1], 2)
end
return {granted, math.max(0, free - granted), tonumber(time[1]), 1000000 - tonumber(time[2])}
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a request may go on, and how many more may in this second, as far as this process knows."""

    is_allowed: bool
    limit: int
    remaining: int


@dataclass(slots=True)
class Share:
    """What this process has of a tenant's second. Times are those of its own clock, in seconds."""

    left: int = 0
    rest: int = 0
    """What Redis had left when it was asked last."""
    second: int = 0
    used: int = 0
    used_before: int = 0
    good_until: float = 0.0
    closed_until: float = 0.0

    def take(self, now: float) -> bool | None:
        """Whether a request may go on; None if only Redis can tell."""
        if self.left > 0 and now < self.good_until:
            self.left -= 1
            self.used += 1
            return True
        return False if now < self.closed_until else None

    def wanted(self, *, waiting: int) -> int:
        """How many to ask for, while so many requests wait."""
        return max(waiting, max(self.used, self.used_before) // 10)

    def add(
        self, granted: int, *, rest: int, second: int, ends_in: float, asked_at: float, now: float
    ) -> None:
        """What Redis said: a second that ends so soon is over, at the latest, so long after it was asked."""
        if second != self.second:
            self.used_before = self.used if second == self.second + 1 else 0
            self.second, self.used, self.left = second, 0, 0
        self.left += granted
        self.rest = rest
        # Never longer than Redis meant, and never asked again before that second is over.
        self.good_until = asked_at + ends_in
        self.closed_until = 0.0 if granted else now + ends_in

    @property
    def remaining(self) -> int:
        """What a caller may count on: what others take meanwhile is not known here."""
        return self.left + self.rest


@dataclass(slots=True)
class _Asking:
    share: Share = field(default_factory=Share)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Rates:
    """Counts the requests of all tenants in this process."""

    def __init__(self, url: str, *, patience: float = PATIENCE_SECONDS) -> None:
        """`patience` is for how many seconds a request waits for Redis."""
        # A connection that was closed while it was idle is no reason to let everything through.
        self._redis: Redis = Redis.from_url(
            url, retry=Retry(NoBackoff(), 1), retry_on_error=[RedisConnectionError]
        )
        self._script = self._redis.register_script(_TAKE)
        self._patience = patience
        self._tenants: dict[UUID, _Asking] = {}
        self._open_until = 0.0
        self._complained = 0.0

    async def take(self, tenant_id: UUID, *, limit: int) -> Standing:
        """Count one request of this tenant, which may make so many in a second."""
        asking = self._tenants.get(tenant_id)
        if asking is None:
            asking = self._tenants[tenant_id] = _Asking()
        verdict = asking.share.take(time.monotonic())
        if verdict is None:
            verdict = await self._asked(tenant_id, asking, limit)
        if verdict is None:
            metrics.UNCOUNTED.inc()
            return Standing(is_allowed=True, limit=limit, remaining=limit)
        return Standing(verdict, limit, asking.share.remaining if verdict else 0)

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    async def _asked(self, tenant_id: UUID, asking: _Asking, limit: int) -> bool | None:
        """The same once Redis has said more; None if it is away. One asks, for all who wait."""
        asking.waiting += 1
        try:
            async with asking.lock:
                while (verdict := asking.share.take(time.monotonic())) is None:
                    if not await self._refilled(tenant_id, asking, limit):
                        return None
                return verdict
        finally:
            asking.waiting -= 1

    async def _refilled(self, tenant_id: UUID, asking: _Asking, limit: int) -> bool:
        asked_at = time.monotonic()
        if asked_at < self._open_until:
            return False
        wanted = asking.share.wanted(waiting=asking.waiting)
        try:
            async with asyncio.timeout(self._patience):
                said = await self._script(keys=[f"edit-jobs:rate:{tenant_id}"], args=[wanted, limit])
        except (RedisError, OSError) as error:
            self._away(error)
            return False
        granted, rest, second, micros = (int(number) for number in said)
        asking.share.add(
            granted,
            rest=rest,
            second=second,
            ends_in=micros / 1_000_000,
            asked_at=asked_at,
            now=time.monotonic(),
        )
        if not granted:
            log.info("limit.reached", limit=LIMIT, tenant_id=str(tenant_id), most=limit)
        return True

    def _away(self, error: Exception) -> None:
        now = time.monotonic()
        self._open_until = now + AWAY_SECONDS
        if now - self._complained > _COMPLAIN_SECONDS or not self._complained:
            self._complained = now
            log.warning("rates.open", error=str(error)[:200] or type(error).__name__)
