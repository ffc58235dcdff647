"""The thresholds of delivering, as the settings have them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from service.settings import Settings

DAY, HOUR = 86400.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All durations are in seconds; `waits` are those before each attempt, the first one's too."""

    waits: Sequence[float]
    deadline: float
    slots: int
    lane_slots: int
    breaker_failures: int
    breaker_first: float
    breaker_longest: float
    disable_after: float
    disable_events: int
    disable_apart: float

    @property
    def tenant_slots(self) -> int:
        """A quarter of a worker's attempts may be one tenant's."""
        return max(1, self.slots // 4)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As an operator has set them."""
        return cls(
            waits=settings.webhook_retry_schedule,
            deadline=settings.webhook_deadline_seconds,
            slots=settings.webhook_slots,
            lane_slots=settings.webhook_lane_slots,
            breaker_failures=settings.webhook_breaker_failures,
            breaker_first=settings.webhook_breaker_seconds,
            breaker_longest=settings.webhook_breaker_longest_seconds,
            disable_after=settings.webhook_disable_days * DAY,
            disable_events=settings.webhook_disable_events,
            disable_apart=settings.webhook_disable_hours * HOUR,
        )
