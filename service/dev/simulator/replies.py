"""The answers of the Model API, byte for byte: key order, compact JSON, codes and HTTP statuses.

Statuses are read from `/status`, but only `/result` decides: a request that fails reads `completed`
there first. Cancelling answers `"status":"completed"` beside `"outcome":"cancelled"`, as documented.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from types import MappingProxyType
from urllib.parse import quote

import msgspec

from service.dev.simulator.edit import Edit
from service.dev.simulator.ledger import Request
from service.dev.simulator.options import OddReads
from service.dev.simulator.script import Oddity, Stage

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
REQUEST_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PRICE_PER_IMAGE = 0.015
UNKNOWN_WORD = "warming_up"

PROVIDER_ERROR = (
    'Provider request failed (422): {"detail":[{"loc":["body","image_urls",0],'
    '"msg":"The image could not be processed.","type":"image_processing_error"}]}'
)
GATEWAY_PAGE = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)


class NoReply(Enum):
    """The connection is closed without an answer."""

    CLOSED = "closed"


def said(status: int, body: object, *, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    return Reply(status, msgspec.json.encode(body), headers=headers)


def refused(status: int, code: int, message: str, *, headers: Mapping[str, str] = NO_HEADERS) -> Reply:
    return said(status, {"error_code": code, "error_message": message}, headers=headers)


# Codes the documentation names.
MALFORMED_ID = refused(400, 400001, "Invalid request id.")
NO_BALANCE = refused(400, 400002, "Insufficient balance.")
NO_ACCOUNT = refused(400, 400004, "Invalid or missing API token.")
NOT_READY = refused(400, 400005, "The request has not finished yet.")
NOT_FOUND = refused(404, 404001, "The request does not exist, or it was deleted or has expired.")
UNKNOWN_MODEL = refused(404, 404001, "The model does not exist.")
# Codes nobody has seen; clients may only rely on the HTTP status, or on its being an error at all.
REJECTED = refused(400, 400003, "The prompt was rejected by the content policy.")
BROKEN = refused(500, 500000, "Internal server error.")
HIDDEN_ERROR = refused(200, 500000, "Temporarily unavailable.")
BUSY = refused(429, 429001, "Too many requests.", headers=MappingProxyType({"Retry-After": "1"}))
BAD_GATEWAY = Reply(502, GATEWAY_PAGE, content_type="text/html")

ODD_READS: Mapping[OddReads, Reply | NoReply] = MappingProxyType(
    {
        "closed": NoReply.CLOSED,
        "broken": BROKEN,
        "html": BAD_GATEWAY,
        "error200": HIDDEN_ERROR,
        "cut": Reply(200, b'{"request_id":"0197", "stat'),
        "nameless": Reply(200, b"{}"),
        "word": said(200, {"status": UNKNOWN_WORD}),
        "missing": NOT_FOUND,
        "not_ready": NOT_READY,
    }
)


def invalid(faults: list[tuple[list[str], str, str]]) -> Reply:
    """422 with the location, message and type of each field error."""
    detail = [{"loc": location, "msg": message, "type": kind} for location, message, kind in faults]
    return said(422, {"detail": detail})


def accepted(request: Request, *, base: str) -> Reply:
    return said(
        200, {"request_id": request.id, **_urls(request, base), "cancel_url": _url(request, base, "cancel")}
    )


def status(request: Request, *, base: str, now: float) -> Reply:
    stage = request.stage(now)
    body: dict[str, object] = {"request_id": request.id, "status": stage}
    if stage is Stage.IN_QUEUE:
        body["queue_position"] = request.script.queue_position(now - request.taken_at)
    return said(200, body | _urls(request, base))


def result(request: Request, *, base: str, now: float, with_cost: bool) -> Reply:
    stage = request.stage(now)
    body: dict[str, object] = {"request_id": request.id, "status": stage}
    created = {"created_at": instant(request.taken_at)}
    if stage is not Stage.COMPLETED:
        return said(200, body | created)
    if request.script.fails:
        return said(200, body | {"status": "failed", **created, "error": PROVIDER_ERROR})
    edit = request.edit()
    body |= {"status": "succeeded", "output": _output(request, edit, base), **created}
    body["finished_at"] = instant(request.finished_at)
    if with_cost and now >= request.finished_at + request.script.cost_after:
        body["cost"] = round(edit.count * PRICE_PER_IMAGE, 6)
    return said(200, body)


def odd(oddity: Oddity, truth: Reply) -> Reply:
    """What stands in the place of the truth about a request."""
    match oddity:
        case Oddity.HTML:
            return BAD_GATEWAY
        case Oddity.ERROR_200:
            return HIDDEN_ERROR
        case Oddity.BLIP:
            return NOT_FOUND
        case Oddity.NOT_READY:
            return NOT_READY
        case Oddity.WORD:
            return said(200, msgspec.json.decode(truth.body) | {"status": UNKNOWN_WORD})


def cancelled(request: Request, *, took: bool, now: float) -> Reply:
    status = Stage.COMPLETED if took else request.stage(now)
    outcome = "cancelled" if took else "not_cancellable"
    return said(202, {"request_id": request.id, "status": status, "outcome": outcome})


def model(model_id: str) -> Reply:
    fields = {"prompt": {"type": "string"}, "image_urls": {"type": "array", "items": {"type": "string"}}}
    return said(
        200,
        {
            "model_id": model_id,
            "display_name": model_id.rsplit("/", maxsplit=1)[0].title(),
            "base_price_usd": PRICE_PER_IMAGE,
            "price_unit": "image",
            "input_schema": {"type": "object", "properties": fields, "required": ["prompt", "image_urls"]},
        },
    )


def instant(at: float) -> str:
    """Microseconds are always written, as captured: isoformat alone drops them when they are zero."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def output_path(request_id: str, index: int, output_format: str) -> str:
    """Path and query of a picture. The escapes are part of the signed URL and must come back as they are."""
    key = quote(f"outputs/{request_id}/{index}.{output_format}", safe="")
    return f"/outputs/{request_id}/{index}.{output_format}?key={key}&signature=c2ln%2B{request_id[:8]}%3D"


def _output(request: Request, edit: Edit, base: str) -> dict[str, object]:
    urls = [base + output_path(request.id, index, edit.format) for index in range(edit.count)]
    # The documentation allows any of `image` and `images`; one picture is told in both.
    return {"image": urls[0], "images": urls} if len(urls) == 1 else {"images": urls}


def _urls(request: Request, base: str) -> dict[str, object]:
    return {"status_url": _url(request, base, "status"), "result_url": _url(request, base, "result")}


def _url(request: Request, base: str, call: str) -> str:
    return f"{base}/v1/requests/{request.id}/{call}"
