"""A registered endpoint as it is known here, and as its tenant sees it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.clock import moment

MOST_COUNTED = 1000
"""Of what waits: a dead receiver may have more than anyone wants counted."""
BREAKER_STATES = ("closed", "open", "half_open")
STATUSES = ("active", "failing", "disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What was registered, and how it stands with it."""

    id: UUID
    tenant_id: UUID
    mode: str
    url: str
    description: str
    events: list[str]
    signing: str
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None
    succeeded_at: datetime | None
    failing_since: datetime | None
    breaker: str
    open_until: datetime | None
    pending: int
    held: int

    @property
    def is_enabled(self) -> bool:
        return self.disabled_at is None

    @property
    def status(self) -> str:
        """One word for it."""
        if not self.is_enabled:
            return "disabled"
        return "failing" if self.failing_since is not None else "active"


def document(endpoint: Endpoint, *, secret: str | None = None) -> dict[str, Any]:
    """As it is answered; with the secret only where that is shown for the one time."""
    shown = {
        "id": str(endpoint.id),
        "url": endpoint.url,
        "events": endpoint.events,
        "description": endpoint.description,
        "signing": endpoint.signing,
        "mode": endpoint.mode,
        "enabled": endpoint.is_enabled,
        "status": endpoint.status,
        "disabled_at": moment(endpoint.disabled_at),
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": moment(endpoint.failing_since),
        "last_success_at": moment(endpoint.succeeded_at),
        "breaker": {"state": endpoint.breaker, "open_until": moment(endpoint.open_until)},
        "waiting": {"pending": endpoint.pending, "held": endpoint.held},
        "created_at": moment(endpoint.created_at),
    }
    return shown if secret is None else shown | {"secret": secret}
