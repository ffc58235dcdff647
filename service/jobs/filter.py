"""Which jobs a list shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from service.jobs.lifecycle import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """All that is named must hold; of `statuses`, where there are any, one of them.

    `metadata` are pairs that a job must have among others; it was created at `since` or later and
    before `until`.
    """

    statuses: frozenset[Status] = frozenset()
    model: str | None = None
    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
