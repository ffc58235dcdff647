"""How an answer's bytes are read: words, codes and messages, as documented and as captured.

Pure and tolerant: an answer may be HTML, a 200 that carries an error, or JSON of another shape.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

WAITING = frozenset({"in_queue", "queued", "pending", "waiting", "starting"})
RUNNING = frozenset({"in_progress", "processing", "cancellation_requested"})
SUCCEEDED = frozenset({"completed", "succeeded", "success"})
FAILED = frozenset({"failed", "error"})
CANCELLED = frozenset({"cancelled", "canceled"})

MALFORMED_ID, NO_BALANCE, BAD_TOKEN, NOT_READY = 400001, 400002, 400004, 400005
NOT_YOURS, NOT_FOUND = 403001, 404001

LONGEST_MESSAGE = 2_000
MOST_EXPENSIVE = 100_000
"""USD. What costs more than a picture ever will is no price."""


def decoded(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer; empty for anything else."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = _loosely_decoded(body)
    return document if isinstance(document, dict) else {}


def word(document: dict[str, Any], field: str) -> str:
    """A status or outcome, without regard to case; empty when there is none."""
    value = document.get(field)
    return value.strip().lower() if isinstance(value, str) else ""


def error_code(document: dict[str, Any]) -> int | None:
    """The upstream's own code, also where it comes as text."""
    value = document.get("error_code")
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        return int(value)
    return value if type(value) is int else None


def message(document: dict[str, Any]) -> str:
    """What went wrong, in the upstream's words, at most 2,000 characters; empty when it says nothing."""
    for field in ("error_message", "message", "error", "detail"):
        value = document.get(field)
        if value:
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            # Postgres stores no NUL.
            return text.replace("\0", "")[:LONGEST_MESSAGE]
    return ""


def output(value: object) -> dict[str, Any]:
    """The media of a result as `images` and `videos`, in order, without repeats; empty when there are none.

    All four documented keys are read: `image` and `images`, `video` and `videos`. Nothing is collected from
    elsewhere in the body, which can echo the inputs. A bare text or list is read as images, as one sentence
    of the documentation promises.
    """
    if isinstance(value, (str, list)):
        value = {"images": value}
    if not isinstance(value, dict):
        return {}
    media = {"images": _urls(value, "image", "images"), "videos": _urls(value, "video", "videos")}
    return {kind: urls for kind, urls in media.items() if urls}


def cost(document: dict[str, Any]) -> Decimal | None:
    """What a result says that it cost, in USD to the millionth; None for what cannot be a price."""
    value = document.get("cost")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MOST_EXPENSIVE:
        return None
    return round(Decimal(str(value)), 6)


def seconds(document: dict[str, Any]) -> float | None:
    """How long a result says that it took, from its submit to its end; None for what cannot be true."""
    created, finished = _moment(document.get("created_at")), _moment(document.get("finished_at"))
    if created is None or finished is None or (created.tzinfo is None) != (finished.tzinfo is None):
        return None
    took = (finished - created).total_seconds()
    return took if took >= 0 else None


def _loosely_decoded(body: bytes) -> object:
    """Python's own servers write NaN and Infinity, which is no JSON: what stands beside them still counts."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _urls(document: dict[str, Any], *keys: str) -> list[str]:
    found: list[object] = []
    for key in keys:
        value = document.get(key)
        found += value if isinstance(value, list) else [value]
    return list(dict.fromkeys(url for url in found if isinstance(url, str) and url))
