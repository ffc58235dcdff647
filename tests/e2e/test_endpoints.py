"""A registered endpoint on real processes: told of every job, signed, rotated, replayed; and the feed."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.dev.stack import Stack

ENDPOINTS = "/v1/webhook-endpoints"


@pytest.fixture
async def api(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    tenant = await stack.create_tenant(request.node.name[:100])
    key = {"Authorization": f"Bearer {await stack.create_key(tenant.name)}"}
    async with httpx.AsyncClient(base_url=stack.api_url, headers=key) as client:
        yield client


async def came(stack: Stack, path: str, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(30), aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{stack.receiver_url}/_receiver/deliveries") as answer:
                deliveries = json.loads(await answer.text())["data"]
            found = [one for one in deliveries if one["path"] == path]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)


async def submit(api: httpx.AsyncClient) -> str:
    pictures = ["https://pictures.example/samples/lake.png"]
    asked = {"input": {"prompt": "sim:queue=0 sim:run=0.2", "image_urls": pictures}}
    job_id: str = (await api.post("/v1/jobs", json=asked)).json()["id"]
    return job_id


async def test_an_endpoint_is_told_of_every_job_and_misses_nothing(
    stack: Stack, api: httpx.AsyncClient
) -> None:
    path = "/hook?endpoint"
    asked = {"url": stack.receiver_url + path, "events": ["job.submitted", "job.completed"], "signing": "v1a"}
    endpoint = (await api.post(ENDPOINTS, json=asked)).json()
    assert "id" in endpoint, endpoint
    url = f"{ENDPOINTS}/{endpoint['id']}"
    assert (await api.post(f"{url}/test")).json()["status_code"] == 204

    first = await submit(api)
    test, submitted, completed = await came(stack, path, 3)
    told = [json.loads(one["body"]) for one in (test, submitted, completed)]
    assert [one["type"] for one in told] == ["webhook.test", "job.submitted", "job.completed"]
    assert {one["data"]["id"] for one in told[1:]} == {first}
    assert told[1]["data"]["sequence"] < told[2]["data"]["sequence"]
    for one in (test, submitted, completed):
        Webhook(endpoint["secret"]).verify(one["body"].encode(), one["headers"])

    await api.patch(url, json={"enabled": False})
    missed = await submit(api)
    async with asyncio.timeout(30):
        while (await api.get(f"/v1/jobs/{missed}")).json()["status"] != "completed":
            await asyncio.sleep(0.05)
    secret = (await api.post(f"{url}/rotate-secret", json={"grace_seconds": 0})).json()["secret"]
    await api.patch(url, json={"enabled": True})
    replayed = (await api.post(f"{url}/replay", json={"since": endpoint["created_at"]})).json()["replayed"]
    # Whether the submit is an event while nobody asks to be told of it, is a matter of seconds.
    assert replayed in (1, 2)
    arrived = await came(stack, path, 3 + replayed)
    assert {json.loads(one["body"])["data"]["id"] for one in arrived[3:]} == {missed}
    assert "job.completed" in {json.loads(one["body"])["type"] for one in arrived[3:]}

    ids = sorted(one["headers"]["webhook-id"] for one in arrived[1:])
    async with asyncio.timeout(30):
        while sorted(event["id"] for event in (await api.get("/v1/events")).json()["data"]) != ids:
            await asyncio.sleep(0.05)

    # The secret before it ends within seconds, wherever it is remembered.
    (delivery, *_) = (await api.get("/v1/webhook-deliveries", params={"limit": 1})).json()["data"]
    async with asyncio.timeout(30):
        while not verifies(secret, (await came(stack, path, len(arrived)))[-1]):
            await api.post(f"/v1/webhook-deliveries/{delivery['id']}/redeliver")
            await asyncio.sleep(0.2)


def verifies(secret: str, delivery: dict[str, Any]) -> bool:
    try:
        Webhook(secret).verify(delivery["body"].encode(), delivery["headers"])
    except WebhookVerificationError:
        return False
    return True
