"""Many jobs in one request: `POST /v1/jobs/batch`, whose items are requests with answers of their own."""

from collections.abc import Sequence
from typing import Any

from litestar import post

from service.api import query
from service.api.accepting import Asked
from service.api.answer import Answer
from service.api.auth import needs
from service.api.body import json_body
from service.api.headers import header
from service.api.parts import Parts
from service.api.problems import problem
from service.errors import BadRequestError, Fault, InvalidInputError, ServiceError
from service.jobs import view
from service.jobs.accept import Acceptance
from service.jobs.batch import Item, accept_all
from service.jobs.envelope import Envelope
from service.jobs.idempotency import HEADER, MUST_BE, is_key, once
from service.schema import Schema
from service.telemetry import metrics

MOST_JOBS = 100
KEY = "idempotency_key"
ENVELOPE = Schema(
    {
        "type": "object",
        "title": "Requests for jobs",
        "required": ["jobs"],
        "additionalProperties": False,
        "properties": {"jobs": {"type": "array", "minItems": 1, "maxItems": MOST_JOBS}},
    }
)
"""What is around the items; each of them is judged by itself."""


@post("/v1/jobs/batch", status_code=207, before_request=needs("jobs:write", makes_work=True))
async def accept_batch(request: Asked) -> Answer:
    """Accept up to a hundred jobs, each with an answer of its own."""
    query.nothing(request.scope["query_string"])
    if header(request.scope, HEADER.lower().encode()) is not None:
        raise BadRequestError(f"Each job of a batch has its own {KEY}: a batch has no {HEADER}.")
    parts = Parts.of(request)
    read = [_item(parts.envelope, body) for body in _bodies(await json_body(request))]
    outcomes = iter(
        await accept_all(
            parts.database,
            request.auth.tenant,
            [item for item in read if isinstance(item, Item)],
            backlog=parts.backlog,
            limit=request.auth.limits.max_queued,
            bell=parts.bell,
            clock=parts.clock,
        )
    )
    told = [next(outcomes) if isinstance(item, Item) else item for item in read]
    results = [_result(outcome, public_url=parts.public_url) for outcome in told]
    return Answer({"results": results}, status=207)


HANDLERS = [accept_batch]


def _bodies(body: object) -> Sequence[object]:
    shell = {**body, "jobs": _unread(body["jobs"])} if isinstance(body, dict) and "jobs" in body else body
    if faults := ENVELOPE.faults(shell):
        raise InvalidInputError.of(faults)
    assert isinstance(body, dict), "the schema lets nothing else through"
    bodies: Sequence[object] = body["jobs"]
    return bodies


def _unread(jobs: object) -> object:
    """As many of nothing: what is wrong with an item is told of that item alone."""
    return [None] * len(jobs) if isinstance(jobs, list) else jobs


def _item(envelope: Envelope, body: object) -> Item | ServiceError:
    """The valid item, or what is wrong with it; pointers begin at the item."""
    faults: list[Fault] = []
    key: object = None
    if isinstance(body, dict) and KEY in body:
        key = body[KEY]
        body = {name: value for name, value in body.items() if name != KEY}
        if not (isinstance(key, str) and is_key(key)):
            faults.append(Fault(f"/{KEY}", MUST_BE))
    try:
        request = envelope.read(body)
    except InvalidInputError as error:
        return InvalidInputError.of([*faults, *error.faults])
    if faults:
        return InvalidInputError.of(faults)
    # The same request and key as a call of its own make no second job either.
    return Item(request, once(key, interface="jobs", body=body) if isinstance(key, str) else None)


def _result(outcome: Acceptance | ServiceError, *, public_url: str) -> dict[str, Any]:
    if isinstance(outcome, Acceptance):
        job = view.document(outcome.job, public_url=public_url, delivery=outcome.delivery)
        return {"status": 202 if outcome.is_new else 200, "job": job}
    if outcome.limit is not None:
        metrics.REFUSALS.labels(outcome.limit).inc()
    return {"status": outcome.status, "problem": problem(outcome)}
