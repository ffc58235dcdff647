"""What was seen, told as JSON: the evidence of tests and benchmarks, never a part of the Model API."""

from typing import Any

import msgspec

from service.dev.simulator.ledger import Ledger, Request, Submit
from service.dev.simulator.replies import instant


def requests(ledger: Ledger, *, now: float) -> list[dict[str, Any]]:
    """Every submit, oldest first, taken or not."""
    return [_told(submit, now) for submit in ledger.submits]


def statistics(ledger: Ledger, *, now: float) -> dict[str, Any]:
    calls = {name: ledger.calls[name] for name in ("submit", "status", "result", "cancel", "model", "output")}
    return {
        "calls": calls,
        "taken": ledger.taken,
        "in_flight": ledger.flight.count(now),
        "highest_in_flight": ledger.flight.highest,
    }


def _told(submit: Submit, now: float) -> dict[str, Any]:
    body = _decoded(submit.body)
    request = submit.request
    return {
        "at": instant(submit.at),
        "model_id": submit.model_id,
        "prompt": body.get("prompt") if isinstance(body, dict) else None,
        "body": body,
        "token": submit.token,
        "answered": submit.answered,
        "taken": request is not None,
        "request_id": request.id if request else None,
        "course": _course(request, now) if request else None,
    }


def _course(request: Request, now: float) -> dict[str, Any]:
    """Where a request is, since when, and how often it was asked about. Times to come are null."""
    moments = {"started_at": request.started_at, "finished_at": request.finished_at}
    past = {name: at if request.cancelled_at is None and at <= now else None for name, at in moments.items()}
    past["cancelled_at"] = request.cancelled_at
    return {
        "status": request.stage(now),
        "taken_at": instant(request.taken_at),
        **{name: at if at is None else instant(at) for name, at in past.items()},
        "status_reads": request.status_reads,
        "result_reads": request.result_reads,
        "cancels": request.cancels,
    }


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode(errors="replace")
