"""Calls about jobs."""

from uuid import UUID

from litestar import delete, get, post
from litestar.params import FromPath

from service.api import query
from service.api.accepting import Asked, accepted, replayed, retried
from service.api.answer import Answer
from service.api.auth import needs
from service.api.body import json_body
from service.api.headers import accepts
from service.api.listing import cursor, listing
from service.api.parts import Parts
from service.api.paths import an_id
from service.errors import NotAcceptableError
from service.jobs import deletion, reading, view
from service.jobs.accept import Acceptance
from service.jobs.cancel import cancel
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.webhooks.store import Progress


@post("/v1/jobs", before_request=needs("jobs:write", makes_work=True))
async def accept_job(request: Asked) -> Answer:
    """Accept a job."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    acceptance = await accepted(request, await json_body(request), interface="jobs")
    return _acceptance(parts, acceptance, replayed(acceptance))


@get("/v1/jobs", before_request=needs("jobs:read"))
async def list_jobs(request: Asked) -> Answer:
    """List jobs, newest first."""
    asked = listing(request.scope["query_string"])
    parts = Parts.of(request)
    page = await reading.page(
        parts.database,
        request.auth.tenant,
        asked.wanted,
        before=asked.before,
        limit=asked.limit,
        line=parts.line,
    )
    shown = [
        view.document(job, public_url=parts.public_url, delivery=page.deliveries.get(job.id))
        for job in page.jobs
    ]
    return Answer({"data": shown, "next_cursor": cursor(page.jobs[-1].id) if page.has_more else None})


@get("/v1/jobs/{job_id:str}", before_request=needs("jobs:read"))
async def show_job(request: Asked, job_id: FromPath[str]) -> Answer:
    """Show a job."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    job, delivery = await reading.one(parts.database, request.auth.tenant, _id(job_id), line=parts.line)
    return _answer(parts, job, delivery=delivery)


@delete("/v1/jobs/{job_id:str}", before_request=needs("jobs:write"))
async def delete_job(request: Asked, job_id: FromPath[str]) -> None:
    """Delete a job that has ended."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    await deletion.delete(parts.database, request.auth.tenant, _id(job_id), clock=parts.clock)


@post("/v1/jobs/{job_id:str}/cancel", before_request=needs("jobs:write"))
async def cancel_job(request: Asked, job_id: FromPath[str]) -> Answer:
    """Cancel a job."""
    query.nothing(request.scope["query_string"])
    parts = Parts.of(request)
    job = await cancel(
        parts.database,
        request.auth.tenant,
        _id(job_id),
        bell=parts.bell,
        clock=parts.clock,
        public_url=parts.public_url,
        hold=parts.cancel_hold,
    )
    if job.status is not Status.CANCELLED:
        return _answer(parts, job, status=202)
    job, delivery = await reading.one(parts.database, request.auth.tenant, job.id)
    return _answer(parts, job, delivery=delivery)


@post("/v1/jobs/{job_id:str}/retry", before_request=needs("jobs:write", makes_work=True))
async def retry_job(request: Asked, job_id: FromPath[str]) -> Answer:
    """Ask for a job once more."""
    query.nothing(request.scope["query_string"])
    return _acceptance(Parts.of(request), await retried(request, _id(job_id)))


@get("/v1/jobs/{job_id:str}/events", before_request=needs("jobs:read"))
async def show_timeline(request: Asked, job_id: FromPath[str]) -> Answer:
    """Show what happened to a job."""
    query.nothing(request.scope["query_string"])
    if not accepts(request.scope, "application/json"):
        raise NotAcceptableError("The timeline is answered as application/json.")
    entries = await reading.timeline(Parts.of(request).database, request.auth.tenant, _id(job_id))
    return Answer({"data": [view.entry(happened) for happened in entries]})


HANDLERS = [accept_job, list_jobs, show_job, delete_job, cancel_job, retry_job, show_timeline]


def _id(text: str) -> UUID:
    return an_id(text, of="job")


def _acceptance(parts: Parts, acceptance: Acceptance, headers: dict[str, str] | None = None) -> Answer:
    """202 when the job was accepted just now, 200 when it was there already."""
    job = acceptance.job
    location = {"Location": f"{parts.public_url}/v1/jobs/{job.id}"}
    status = 202 if acceptance.is_new else 200
    return _answer(
        parts, job, status=status, delivery=acceptance.delivery, headers=location | (headers or {})
    )


def _answer(
    parts: Parts,
    job: Job,
    *,
    status: int = 200,
    delivery: Progress | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    shown = view.document(job, public_url=parts.public_url, delivery=delivery)
    return Answer(shown, status=status, headers=headers)
