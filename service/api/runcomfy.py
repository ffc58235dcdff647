"""RunComfy's own interface on the same jobs: a client of it changes its base URL and its token.

`request_id` is the job's id. Bodies are worded by `jobs.mirror`, errors by `runcomfy_errors`.
"""

from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath

from service import catalogue, ids
from service.api import query
from service.api.accepting import Asked, accepted, replayed
from service.api.answer import Answer
from service.api.auth import any_key, needs
from service.api.body import json_body
from service.api.parts import Parts
from service.catalogue import Model
from service.errors import BadRequestError, NotCancellableError
from service.jobs import mirror, reading
from service.jobs.cancel import cancel
from service.jobs.lifecycle import Status


@post("/v1/models/{model_id:path}", status_code=200, before_request=needs("jobs:write", makes_work=True))
async def submit(request: Asked, model_id: FromPath[str]) -> Answer:
    """Accept a job; the body is the model's input, with nothing around it."""
    webhook = query.single(request.scope["query_string"], "webhook")
    body = {"model": _model(model_id).id, "input": await json_body(request), "callback_url": webhook}
    acceptance = await accepted(request, body, interface="runcomfy")
    taken = mirror.taken(acceptance.job, public_url=Parts.of(request).public_url)
    return Answer(taken, headers=replayed(acceptance))


@get("/v1/requests/{request_id:str}/status", before_request=needs("jobs:read"))
async def show_status(request: Asked, request_id: FromPath[str]) -> Answer:
    """Where the job is."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    job, _ = await reading.one(parts.database, request.auth.tenant, _id(request_id), line=parts.line)
    return Answer(mirror.status(job, public_url=parts.public_url))


@get("/v1/requests/{request_id:str}/result", before_request=needs("jobs:read"))
async def show_result(request: Asked, request_id: FromPath[str]) -> Answer:
    """How the job ended, or its state before."""
    with_cost = query.flag(request.scope["query_string"], "include_cost")
    job, _ = await reading.one(Parts.of(request).database, request.auth.tenant, _id(request_id))
    return Answer(mirror.result(job, with_cost=with_cost))


@post("/v1/requests/{request_id:str}/cancel", before_request=needs("jobs:write"))
async def cancel_request(request: Asked, request_id: FromPath[str]) -> Answer:
    """Cancel the job; the HTTP status is 202 whatever the outcome."""
    query.nothing(request.scope["query_string"])
    parts, tenant, job_id = Parts.of(request), request.auth.tenant, _id(request_id)
    try:
        job = await cancel(
            parts.database,
            tenant,
            job_id,
            bell=parts.bell,
            clock=parts.clock,
            public_url=parts.public_url,
            hold=parts.runcomfy_cancel_hold,
        )
    except NotCancellableError:
        job, _ = await reading.one(parts.database, tenant, job_id)
        return Answer(mirror.not_cancellable(job), status=202)
    if job.status is Status.CANCELLED:
        return Answer(mirror.cancelled(job), status=202)
    return Answer(mirror.cancellation_requested(job), status=202)


@get("/v1/models", before_request=any_key)
async def list_models(request: Asked) -> Answer:
    """Every model that can be asked for."""
    query.nothing(request.scope["query_string"])
    return Answer({"data": [_described(model) for model in catalogue.all_models()]})


@get("/v1/models/{model_id:path}", before_request=any_key)
async def show_model(request: Asked, model_id: FromPath[str]) -> Answer:
    """What a model takes, and what it answers with."""
    query.nothing(request.scope["query_string"])
    return Answer(_described(_model(model_id)))


HANDLERS = [submit, show_status, show_result, cancel_request, list_models, show_model]


def _model(path: str) -> Model:
    """The slashes of an id are those of the path."""
    model = catalogue.get(path.removeprefix("/"))
    if model is None:
        raise BadRequestError("There is no such model; GET /v1/models lists those there are.")
    return model


def _described(model: Model) -> dict[str, Any]:
    return {
        "model_id": model.id,
        "display_name": model.display_name,
        "base_price_usd": model.base_price_usd,
        "price_unit": model.price_unit,
        "input_schema": model.input.document,
        "output_schema": model.output,
    }


def _id(text: str) -> UUID:
    job_id = ids.read(text)
    if job_id is None:
        raise BadRequestError("The request id is malformed: it has to be a UUID.")
    return job_id
