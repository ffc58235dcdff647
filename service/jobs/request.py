"""What a caller asks for, once it is known to be valid."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A valid request for a job, with everything filled in that the caller left to us."""

    model: str
    input: dict[str, Any]
    warnings: list[dict[str, str]]
    callback_url: str | None
    callback_events: list[str]
    external_id: str | None
    metadata: dict[str, str]
    priority: str
    expires_in: int
    on_unconfirmed: str
