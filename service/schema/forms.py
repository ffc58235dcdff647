"""What the bodies of calls have in common: an object whose every field is known, and times."""

from collections.abc import Mapping
from typing import Any

from service.clock import read_moment
from service.schema.wording import Reason


def form(title: str, *, required: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """The schema of an object that has no other fields than these."""
    document = {"type": "object", "title": title, "additionalProperties": False, "properties": fields}
    return document | {"required": list(required)} if required else document


def _why_no_time(text: str) -> str | None:
    return None if read_moment(text) else "must be a time like 2026-01-31T18:00:00Z"


TIMES: Mapping[str, Reason] = {"date-time": _why_no_time}
