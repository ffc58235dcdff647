"""What the API tells Prometheus."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import httpx
from prometheus_client.parser import text_string_to_metric_families

from service.database import Database
from service.jobs.job import Job
from service.tenants.models import PLATFORM_TOKEN_ID
from service.tenants.tenant import Tenant

Serving = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

MODEL = "blackforestlabs/flux-2/dev/edit"
REQUEST = {"input": {"prompt": "x", "image_urls": ["https://pictures.example/a.png"]}}


async def scraped(client: httpx.AsyncClient) -> Samples:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"edit_jobs_{name}", frozenset(labels.items())), 0.0)


async def test_jobs_that_have_not_ended_are_counted_by_status_and_model(
    stranger: httpx.AsyncClient, accepted: Callable[..., Awaitable[Job]], database: Database
) -> None:
    for _ in range(3):
        await accepted()
    async with database.driver() as driver:
        await driver.execute("UPDATE jobs SET created_at = created_at - interval '1 h'")
        await driver.execute(
            "UPDATE jobs SET status = 'failed', finished_at = now(), error = '{}' "
            "WHERE id = (SELECT id FROM jobs LIMIT 1)"
        )

    samples = await scraped(stranger)

    assert of(samples, "jobs", status="accepted", model=MODEL) == 2
    assert [name for name, _ in samples].count("edit_jobs_jobs") == 1
    assert 3600 <= of(samples, "oldest_accepted_seconds") < 3700
    assert of(samples, "database_up") == 1
    assert of(samples, "accounts_in_trouble") == 0


async def test_an_account_in_trouble_is_told(stranger: httpx.AsyncClient, database: Database) -> None:
    async with database.driver() as driver:
        await driver.execute(
            "UPDATE upstream_tokens SET trouble = 'no balance', trouble_since = now() WHERE id = $1",
            PLATFORM_TOKEN_ID,
        )

    assert of(await scraped(stranger), "accounts_in_trouble") == 1


async def test_requests_are_counted_by_route_and_not_by_what_callers_put_into_them(
    api: httpx.AsyncClient,
) -> None:
    before = await scraped(api)
    job = (await api.post("/v1/jobs", json=REQUEST)).json()
    await api.get(f"/v1/jobs/{job['id']}")
    await api.post("/v1/jobs", json={})
    await api.get("/secret-of-a-caller")
    await api.request("BREW", "/v1/jobs")
    after = await scraped(api)

    def more(name: str, **labels: str) -> float:
        return of(after, name, **labels) - of(before, name, **labels)

    assert more("accepted_total", model=MODEL) == 1
    assert more("http_requests_total", route="/v1/jobs", method="POST", status="202") == 1
    assert more("http_requests_total", route="/v1/jobs", method="POST", status="422") == 1
    assert more("http_requests_total", route="/v1/jobs/{job_id}", method="GET", status="200") == 1
    assert more("http_requests_total", route="unknown", method="GET", status="404") == 1
    assert more("http_request_seconds_count", route="/v1/jobs", method="POST") == 2
    labels = " ".join(value for _, pairs in after for _, value in pairs)
    assert "secret-of-a-caller" not in labels
    assert "BREW" not in labels


async def test_no_tenant_is_named(api: httpx.AsyncClient, tenant: Tenant) -> None:
    job = (await api.post("/v1/jobs", json=REQUEST)).json()

    text = (await api.get("/metrics")).text

    assert not [word for word in (str(tenant.id), "acme", job["id"]) if word in text]


async def test_what_was_counted_is_told_also_while_postgres_is_away(serving: Serving) -> None:
    away = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
    async with serving(api_database_url=away) as client:
        samples = await scraped(client)

    assert of(samples, "database_up") == 0
    assert ("edit_jobs_accounts_in_trouble", frozenset()) not in samples
    assert any(name == "edit_jobs_http_requests_total" for name, _ in samples)
