"""What stands behind the question mark: a parameter that is unknown or unreadable is told, not ignored."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl
from uuid import UUID

from service.errors import BadRequestError
from service.jobs.lifecycle import Status

LARGEST_PAGE = 200
USUAL_PAGE = 50


@dataclass(frozen=True, slots=True)
class Listing:
    """Which jobs to list; no statuses means all of them."""

    statuses: frozenset[Status] = frozenset()
    before: UUID | None = None
    limit: int = USUAL_PAGE


def nothing(query: bytes) -> None:
    """For calls that take no parameters."""
    _parsed(query, known=())


def single(query: bytes, name: str) -> str | None:
    """For calls that take just this parameter; None without it."""
    wrong: list[str] = []
    value = _single(_parsed(query, known=(name,)), name, wrong)
    if wrong:
        raise BadRequestError(" ".join(wrong))
    return value


def flag(query: bytes, name: str) -> bool:
    """For calls that take just this parameter, which is `true` or `false`, in whatever case."""
    text = single(query, name)
    if text is None or text.lower() in ("true", "false"):
        return text is not None and text.lower() == "true"
    raise BadRequestError(f"{name} must be true or false, not {_shown(text)}.")


def listing(query: bytes) -> Listing:
    """`status` (several by commas or by repeating it), `limit` and `cursor`."""
    given = _parsed(query, known=("status", "limit", "cursor"))
    wrong: list[str] = []
    statuses = _statuses(given.get("status", []), wrong)
    limit = _limit(_single(given, "limit", wrong), wrong)
    before = _before(_single(given, "cursor", wrong), wrong)
    if wrong:
        raise BadRequestError(" ".join(wrong))
    return Listing(statuses=statuses, before=before, limit=limit)


def cursor(last: UUID) -> str:
    """Where the page after the job `last` begins; opaque to callers."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def _parsed(query: bytes, *, known: Iterable[str]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    try:
        for name, value in parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100
        ):
            given.setdefault(name, []).append(value)
    except ValueError:
        raise BadRequestError("The query cannot be read.") from None
    if unknown := [name for name in given if name not in known]:
        names = ", ".join(_shown(name) for name in unknown)
        allowed = f"there are: {', '.join(known)}" if known else "there are none"
        raise BadRequestError(f"Not a parameter of this call: {names}; {allowed}.")
    return given


def _single(given: dict[str, list[str]], name: str, wrong: list[str]) -> str | None:
    values = given.get(name, [])
    if len(values) > 1:
        wrong.append(f"{name} can be given once.")
        return None
    return values[0] if values else None


def _statuses(values: list[str], wrong: list[str]) -> frozenset[Status]:
    words = [word for value in values for word in value.split(",")]
    unknown = [word for word in words if word not in list(Status)]
    if unknown:
        names = ", ".join(_shown(word) for word in unknown[:10])
        wrong.append(f"status must be one of {', '.join(Status)}, not {names}.")
    return frozenset(Status(word) for word in words if word not in unknown)


def _limit(text: str | None, wrong: list[str]) -> int:
    if text is None:
        return USUAL_PAGE
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= LARGEST_PAGE:
        return int(text)
    wrong.append(f"limit must be an integer from 1 to {LARGEST_PAGE}, not {_shown(text)}.")
    return USUAL_PAGE


def _before(text: str | None, wrong: list[str]) -> UUID | None:
    if text is None:
        return None
    try:
        last = UUID(bytes=base64.b64decode(text + "==", altchars=b"-_", validate=True))
        if cursor(last) == text:
            return last
    except (binascii.Error, ValueError):
        pass
    wrong.append("cursor is not one that this service gave out.")
    return None


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "…")
