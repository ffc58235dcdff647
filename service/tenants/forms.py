"""The bodies of calls about keys and tenants: each is checked and documented by one JSON Schema."""

from dataclasses import dataclass

from service.clock import read_moment
from service.schema import Schema
from service.schema.forms import TIMES, form
from service.tenants.issuing import Wish
from service.tenants.keys import MODES, SCOPES, Mode
from service.tenants.store import LIMITS, NAME_LENGTH

LONGEST_TOKEN = 4096
# What a terminal would obey is no name: C0, DEL and C1.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different of a tenant; None leaves it as it is."""

    name: str | None
    disabled: bool | None
    limits: dict[str, int]


def read_wish(body: object, *, usual: Mode) -> Wish:
    """The key that is asked for, of the `usual` mode where none is said. Raises InvalidInputError."""
    given = WISH.read(body)
    expires_at = given["expires_at"] and read_moment(given["expires_at"])
    mode = given.get("mode", usual)
    return Wish(name=given["name"], mode=mode, scopes=given["scopes"], expires_at=expires_at)


def read_tenant(body: object) -> tuple[str, dict[str, int]]:
    """The name and the limits of a new tenant."""
    given = TENANT.read(body)
    return given["name"], given["limits"]


def read_change(body: object) -> Change:
    given = CHANGE.read(body)
    return Change(given.get("name"), given.get("disabled"), given.get("limits", {}))


def read_token(body: object) -> tuple[str, int]:
    """The token, and how many jobs may be in flight with it."""
    given = TOKEN.read(body)
    return given["token"], given["max_in_flight"]


_MEANINGS = {
    "max_in_flight": "Most of its jobs that hold one of the upstream's places at once.",
    "max_queued": "Most of its jobs that wait here at once.",
    "requests_per_second": "Requests of all its keys together.",
    "max_endpoints": "Most webhook endpoints.",
    "max_keys": "Most live keys.",
    "weight": "Its share of the upstream's places when many wait, beside the others'.",
}
_LIMITS = {
    "type": "object",
    "description": "What it may use; what is not named stays as it is or, of a new tenant, is as usual.",
    "additionalProperties": False,
    "properties": {
        limit: {"type": "integer", "description": _MEANINGS[limit], "minimum": least, "maximum": most}
        for limit, (least, most) in LIMITS.items()
    },
    "examples": [{"max_in_flight": 50, "weight": 2}],
}
_TENANTS_NAME = {
    "type": "string",
    "description": "What it is called; unique.",
    "minLength": 1,
    "maxLength": NAME_LENGTH,
    "pattern": r"^[^\x00-\x20\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?$",
    "examples": ["shop"],
}
WISH = Schema(
    form(
        "Request for a key",
        required=("scopes",),
        name={
            "type": "string",
            "description": "What it is for.",
            "maxLength": NAME_LENGTH,
            "pattern": PRINTABLE,
            "default": "",
            "examples": ["backend"],
        },
        scopes={
            "type": "array",
            "description": "What it allows; no more than the key that makes it.",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "enum": list(SCOPES)},
            "examples": [["jobs:read", "jobs:write"]],
        },
        expires_at={
            "type": ["string", "null"],
            "description": "It works until then; for ever, if nothing is said.",
            "format": "date-time",
            "default": None,
            "examples": ["2100-01-31T18:00:00Z"],
        },
        mode={
            "type": "string",
            "description": "That of the key that makes it, if nothing is said; a test key makes no other.",
            "enum": list(MODES),
        },
    ),
    formats=TIMES,
)
TENANT = Schema(
    form("A new tenant", required=("name",), name=_TENANTS_NAME, limits=_LIMITS | {"default": {}})
)
CHANGE = Schema(
    form(
        "A change of a tenant",
        name=_TENANTS_NAME,
        disabled={
            "type": "boolean",
            "description": "`true` accepts nothing more of it, within 5 s; what runs ends, and is told.",
        },
        limits=_LIMITS,
    )
)
TOKEN = Schema(
    form(
        "A token of the upstream",
        required=("token", "max_in_flight"),
        token={
            "type": "string",
            "description": "The tenant's own; it is sealed, and never shown again.",
            "minLength": 1,
            "maxLength": LONGEST_TOKEN,
            "pattern": r"^[\x21-\x7e]+$",
            "examples": ["rc-1f0d3a"],
        },
        max_in_flight={
            "type": "integer",
            "description": "Most jobs that hold a place with it at once.",
            "minimum": 1,
            "maximum": LIMITS["max_in_flight"][1],
            "examples": [50],
        },
    )
)
