"""RunComfy's interface: the same jobs, in its words."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import jsonschema_rs
from litestar import Litestar

from service.database import Database
from service.jobs.ends import forgotten
from service.jobs.job import Job
from service.jobs.store import moves
from service.jobs.store.claims import Owner, take_waiting
from service.tenants import keys
from service.tenants.models import PLATFORM_TOKEN_ID
from service.tenants.tenant import Tenant

Accepting = Callable[..., Awaitable[Job]]
NewKey = Callable[..., Awaitable[str]]

MODEL = "/v1/models/blackforestlabs/flux-2/dev/edit"
INPUT: dict[str, Any] = {"prompt": "make it night", "image_urls": ["https://pictures.example/lake.png"]}
OWNER = Owner(name="worker", lease=60)


def described(document: dict[str, Any], name: str) -> jsonschema_rs.Draft202012Validator:
    """The named schema of the API's description."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    )


async def submitted(database: Database) -> Job:
    """The one job that waits, as the upstream has taken it."""
    async with database.transaction() as connection:
        waiting = await take_waiting(
            connection, OWNER, token_id=PLATFORM_TOKEN_ID, places=1, room=1, now=None
        )
        job = await moves.intend(connection, waiting.jobs[0], OWNER)
        assert job is not None
        job = await moves.take(connection, job, OWNER, upstream_id="up-1")
        assert job is not None
        return job


async def test_a_submit_makes_a_job_like_any_other(api: httpx.AsyncClient) -> None:
    response = await api.post(MODEL, json=INPUT, params={"webhook": "https://hooks.example/a?b=c"})

    taken = response.json()
    base = f"https://jobs.example/v1/requests/{taken['request_id']}"
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    expected = f'{{"request_id":"{taken["request_id"]}","status_url":"{base}/status",'
    expected += f'"result_url":"{base}/result","cancel_url":"{base}/cancel"}}'
    assert response.text == expected
    job = (await api.get(f"/v1/jobs/{taken['request_id']}")).json()
    assert (job["model"], job["status"]) == ("blackforestlabs/flux-2/dev/edit", "accepted")
    assert job["input"] == INPUT | {
        "guidance_scale": 2.5,
        "seed": 0,
        "num_inference_steps": 28,
        "image_size": "square_hd",
        "num_images": 1,
        "enable_prompt_expansion": False,
        "output_format": "png",
    }


async def test_the_webhook_of_the_query_is_told_of_the_end(
    api: httpx.AsyncClient, database: Database
) -> None:
    taken = (await api.post(MODEL, json=INPUT, params={"webhook": "https://hooks.example/a?b=c"})).json()
    job = await submitted(database)
    assert str(job.id) == taken["request_id"]
    assert job.callback_url == "https://hooks.example/a?b=c"
    assert job.callback_events == ["job.completed", "job.failed", "job.cancelled", "job.expired"]


async def test_an_idempotency_key_makes_one_job_of_this_interface(api: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "order-17"}
    first = await api.post(MODEL, json=INPUT, headers=headers)
    again = await api.post(MODEL, json=dict(reversed(INPUT.items())), headers=headers)
    assert (again.status_code, again.text) == (200, first.text)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"

    for other in (INPUT | {"seed": 1}, INPUT):
        query = {"webhook": "https://hooks.example/"} if other == INPUT else {}
        reused = await api.post(MODEL, json=other, params=query, headers=headers)
        assert (reused.status_code, reused.json()["error_code"]) == (422, 422001)
    elsewhere = await api.post("/v1/jobs", json={"input": INPUT}, headers=headers)
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_model_with_its_slashes_escaped_is_the_same_model(api: httpx.AsyncClient) -> None:
    response = await api.post("/v1/models/blackforestlabs%2Fflux-2%2Fdev%2Fedit", json=INPUT)
    assert response.status_code == 200


async def test_answers_are_as_described_from_the_queue_to_the_end(
    api: httpx.AsyncClient, accepted: Accepting, database: Database
) -> None:
    document = (await api.get("/schema/openapi.json")).json()
    described(document, "RunComfyTaken").validate((await api.post(MODEL, json=INPUT)).json())
    job = await accepted()
    url = f"/v1/requests/{job.id}"

    waiting = await api.get(f"{url}/status")
    assert (waiting.status_code, waiting.json()["status"]) == (200, "in_queue")
    early = await api.get(f"{url}/result")
    assert (early.status_code, early.json()["status"]) == (200, "in_queue")
    cancelled = await api.post(f"{url}/cancel")
    assert (cancelled.status_code, cancelled.json()["outcome"]) == (202, "cancelled")
    ended = await api.get(f"{url}/status")
    assert ended.json()["status"] == "cancelled"
    assert (await api.get(f"{url}/result", params={"include_cost": "True"})).json()["status"] == "cancelled"

    for answer, name in (
        (waiting, "RunComfyStatus"),
        (early, "RunComfyResult"),
        (cancelled, "RunComfyCancel"),
        (ended, "RunComfyStatus"),
        (await api.get(MODEL), "Model"),
        (await api.get("/v1/models"), "Models"),
        (await api.get(f"{url}x/status"), "RunComfyError"),
    ):
        described(document, name).validate(answer.json())
        assert answer.headers["Content-Type"] == "application/json"


async def test_a_job_that_failed_is_completed_on_its_status_and_failed_on_its_result(
    api: httpx.AsyncClient, accepted: Accepting, database: Database
) -> None:
    await accepted()
    job = await submitted(database)
    async with database.transaction() as connection:
        await moves.fail(connection, job, error=forgotten(), now=None)

    url = f"/v1/requests/{job.id}"
    assert (await api.get(f"{url}/status")).json()["status"] == "completed"
    result = await api.get(f"{url}/result")
    assert result.status_code == 200
    assert list(result.json()) == ["request_id", "status", "created_at", "error"]
    assert result.json()["status"] == "failed"
    assert result.json()["error"] == forgotten().message
    again = await api.post(f"{url}/cancel")
    assert again.status_code == 202
    assert again.json() == {
        "request_id": str(job.id),
        "status": "completed",
        "outcome": "not_cancellable",
    }


async def test_a_cancel_without_the_upstreams_word_is_requested(
    api: httpx.AsyncClient, app: Litestar, accepted: Accepting, database: Database
) -> None:
    await accepted()
    job = await submitted(database)
    assert app.state.parts.runcomfy_cancel_hold == 10
    app.state.parts = replace(app.state.parts, runcomfy_cancel_hold=0.0)

    response = await api.post(f"/v1/requests/{job.id}/cancel")

    assert response.status_code == 202
    assert response.text == f'{{"request_id":"{job.id}","status":"cancellation_requested"}}'
    assert (await api.get(f"/v1/requests/{job.id}/status")).json()["status"] == "in_queue"
    assert (await api.get(f"/v1/jobs/{job.id}")).json()["cancel"]["outcome"] == "pending"


async def test_the_catalogue_shows_each_models_input_and_output(api: httpx.AsyncClient) -> None:
    model = (await api.get(MODEL)).json()
    assert list(model) == [
        "model_id",
        "display_name",
        "base_price_usd",
        "price_unit",
        "input_schema",
        "output_schema",
    ]
    assert model["model_id"] == "blackforestlabs/flux-2/dev/edit"
    jsonschema_rs.Draft202012Validator(model["input_schema"]).validate(INPUT)
    assert "images" in model["output_schema"]["properties"]
    assert model in (await api.get("/v1/models")).json()["data"]


async def test_a_key_needs_the_scope_of_what_it_does_and_none_for_models(
    stranger: httpx.AsyncClient, tenant: Tenant, new_key: NewKey, accepted: Accepting
) -> None:
    url = f"/v1/requests/{(await accepted()).id}"
    calls = [
        ("POST", MODEL, "jobs:write"),
        ("GET", f"{url}/status", "jobs:read"),
        ("GET", f"{url}/result", "jobs:read"),
        ("POST", f"{url}/cancel", "jobs:write"),
    ]
    for method, path, scope in calls:
        key = await new_key(tenant, scopes=tuple(other for other in keys.SCOPES if other != scope))
        stranger.headers["Authorization"] = f"Bearer {key}"
        response = await stranger.request(method, path)
        assert (response.status_code, response.json()["error_code"]) == (403, 403001)
        assert response.json()["error_message"] == f"This key lacks the scope {scope}."

    stranger.headers["Authorization"] = f"Bearer {await new_key(tenant, scopes=('webhooks:read',))}"
    assert (await stranger.get("/v1/models")).status_code == 200
    assert (await stranger.get(MODEL)).status_code == 200


async def test_another_tenants_job_is_not_there(
    api: httpx.AsyncClient, accepted: Accepting, another_tenant: Callable[[str], Awaitable[Tenant]]
) -> None:
    url = f"/v1/requests/{(await accepted(owner=await another_tenant('other'))).id}"
    for method, path in (("GET", "status"), ("GET", "result"), ("POST", "cancel")):
        response = await api.request(method, f"{url}/{path}")
        assert (response.status_code, response.json()["error_code"]) == (404, 404001)
