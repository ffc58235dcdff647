"""The bodies of calls about webhooks: each is checked, filled in, and documented by one JSON Schema."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.clock import read_moment
from service.schema import Schema
from service.schema.forms import TIMES, form
from service.webhooks.addresses import MAX_URL_LENGTH, IPNetwork, url_fault, usual_form
from service.webhooks.models import SIGNINGS

LONGEST_DESCRIPTION = 500
USUAL_GRACE, LONGEST_GRACE = 86_400, 7 * 86_400
MISSED = "missed"
"""Of an event: the endpoint has no delivery of it, since it was disabled or did not want it then."""
REPLAYABLE = ("exhausted", "held", "cancelled", MISSED, "delivered")
USUALLY_REPLAYED = ("exhausted", "held", "cancelled", MISSED)


@dataclass(frozen=True, slots=True)
class Registration:
    """What an endpoint is registered with."""

    url: str
    events: list[str]
    description: str
    signing: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; None leaves it as it is."""

    url: str | None = None
    events: list[str] | None = None
    description: str | None = None
    enabled: bool | None = None

    def columns(self) -> dict[str, Any]:
        """The columns that are concerned."""
        given = {"url": self.url, "events": self.events, "description": self.description}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Window:
    """Which events are to be replayed: from `since` on, before `until`, of which this has become here."""

    since: datetime
    until: datetime | None
    statuses: frozenset[str]


class Forms:
    """Reads bodies; the schemas are what it holds them against."""

    def __init__(
        self, *, allowed_networks: Sequence[IPNetwork], events: Sequence[str], usual: Sequence[str]
    ) -> None:
        """`events` are the types there are, `usual` what an endpoint gets that does not say."""
        fields = _fields(events, usual, url_pattern=usual_form(allowed_networks))
        changed: dict[str, Any] = {
            name: _without_default(field) for name, field in fields.items() if name != "signing"
        }
        formats = {"endpoint-url": url_fault(allowed_networks)}
        self.registration = Schema(form("A new endpoint", required=("url",), **fields), formats=formats)
        self.change = Schema(form("A change", **changed, enabled=_ENABLED), formats=formats)

    def read_registration(self, body: object) -> Registration:
        """Raises InvalidInputError with every fault; so do the others."""
        return Registration(**self.registration.read(body))

    def read_change(self, body: object) -> Change:
        return Change(**self.change.read(body))


def read_rotation(body: object) -> int:
    """For how many seconds what was known before still signs."""
    grace: int = ROTATION.read(body)["grace_seconds"]
    return grace


def read_replay(body: object) -> Window:
    """Which events to send again."""
    given = REPLAY.read(body)
    since, until = read_moment(given["since"]), given["until"] and read_moment(given["until"])
    assert since is not None, "the schema has checked it"
    return Window(since, until, frozenset(given["statuses"]))


def _without_default(field: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in field.items() if name != "default"}


def _fields(events: Sequence[str], usual: Sequence[str], *, url_pattern: str) -> dict[str, Any]:
    return {
        "url": {
            "type": "string",
            "description": "Where events are sent.",
            "format": "endpoint-url",
            "$comment": "An address, or a name in Unicode, may pass too.",
            "pattern": url_pattern,
            "maxLength": MAX_URL_LENGTH,
            "examples": ["https://example.com/hooks/edits"],
        },
        "events": {
            "type": "array",
            "description": "What it is told, of all jobs; how each ended, if nothing is said.",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "enum": list(events)},
            "default": list(usual),
        },
        "description": {
            "type": "string",
            "description": "The caller's own words for it.",
            "maxLength": LONGEST_DESCRIPTION,
            "default": "",
            "examples": ["Production, EU"],
        },
        "signing": {
            "type": "string",
            "description": "`v1a` adds Ed25519 signatures, verified with the published keys, beside `v1`.",
            "enum": list(SIGNINGS),
            "default": "v1",
        },
    }


_ENABLED = {
    "type": "boolean",
    "description": "`false` holds what is to be sent; `true` sends what is held and resets the breaker.",
}
_GRACE = {
    "type": "integer",
    "description": "Seconds for which the secrets known before still sign; 0 ends them at once.",
    "minimum": 0,
    "maximum": LONGEST_GRACE,
    "default": USUAL_GRACE,
}
_REPLAY = {
    "since": {
        "type": "string",
        "description": "Events that happened at this time or later; at most 14 days ago.",
        "format": "date-time",
        "examples": ["2026-01-31T18:00:00Z"],
    },
    "until": {
        "type": ["string", "null"],
        "description": "Events that happened before this time; now, if nothing is said.",
        "format": "date-time",
        "default": None,
        "examples": ["2026-01-31T19:00:00Z"],
    },
    "statuses": {
        "type": "array",
        "description": "What became of them here; `missed` is what was never to be sent here.",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"type": "string", "enum": list(REPLAYABLE)},
        "default": list(USUALLY_REPLAYED),
    },
}

ROTATION = Schema(form("A rotation", grace_seconds=_GRACE))
REPLAY = Schema(form("A replay", required=("since",), **_REPLAY), formats=TIMES)
