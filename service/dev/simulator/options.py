"""What a simulator is started with, and the faults that may be switched while it runs."""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

OddReads = Literal["closed", "broken", "html", "error200", "cut", "nameless", "word", "missing", "not_ready"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Seconds, unless a prompt's words say otherwise."""

    queue_seconds: float = 1.0
    run_seconds: float = 3.0


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wrong with every call of the API right now; the control calls and pictures go on.

    A submit that meets `down`, `busy` or `no_balance` is not taken.
    """

    latency: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Seconds before any answer."""
    tokens: frozenset[str] | None = None
    """The valid bearer tokens; null takes any."""
    down: bool = False
    """Connections are closed without an answer."""
    busy: bool = False
    """429 to everything."""
    no_balance: bool = False
    """400002 to submits, as HTTP 400."""
    reads: OddReads | None = None
    """What every status and every result reads like, whatever is true."""


def changed(faults: Faults, patch: bytes) -> Faults:
    """The faults with a JSON object's fields put over them. Raises msgspec.DecodeError."""
    fields = msgspec.json.decode(patch, type=dict[str, msgspec.Raw])
    wanted = msgspec.json.decode(msgspec.json.encode(fields), type=Faults)
    return msgspec.structs.replace(faults, **{name: getattr(wanted, name) for name in fields})
