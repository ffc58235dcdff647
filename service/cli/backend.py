"""A tenant's backend, as far as `demo` and `dev` play one: what it calls, and the webhooks it got."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
import msgspec

from service.cli.failures import CommandError

SAMPLE = "https://pictures.example/samples/lake.png"
"""The simulator has every picture below /samples/ itself, whatever the host."""


class Subject(msgspec.Struct):
    """The job an event is about."""

    id: str


class Event(msgspec.Struct):
    """As much of a webhook's body as is shown."""

    type: str
    data: Subject


class Webhook(msgspec.Struct):
    """One POST to the receiver, as it tells of it."""

    headers: dict[str, str]
    body: str
    verified: bool
    reason: str | None

    @property
    def event(self) -> Event:
        """What it tells of; anybody may have posted anything else."""
        try:
            return msgspec.json.decode(self.body, type=Event)
        except msgspec.DecodeError:
            return Event(type="not an event of ours", data=Subject(id="?"))


class _Webhooks(msgspec.Struct):
    data: list[Webhook]


class Backend:
    """Calls with the tenant's key. Raises CommandError for any answer that is not a success."""

    def __init__(self, http: httpx.AsyncClient, *, api: str, receiver: str, key: str) -> None:
        self._http = http
        self._api = api
        self._receiver = receiver
        self._headers = {"Authorization": f"Bearer {key}"}
        self._came = 0

    @classmethod
    @asynccontextmanager
    async def at(cls, *, api: str, receiver: str, key: str) -> AsyncIterator[Self]:
        """For the length of the block. A proxy of this shell is for other machines."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            yield cls(http, api=api, receiver=receiver, key=key)

    async def trust(self, secret: str) -> None:
        """Let the receiver verify what this secret signs."""
        await self._call("POST", f"{self._receiver}/_receiver/secret", json={"secret": secret})

    async def submit(self, job: dict[str, Any]) -> dict[str, Any]:
        """POST a job; returns it as it was accepted."""
        return _decoded(await self._call("POST", f"{self._api}/v1/jobs", json=job, headers=self._headers))

    async def job(self, job_id: str) -> dict[str, Any]:
        """The job as it is now."""
        return _decoded(await self._call("GET", f"{self._api}/v1/jobs/{job_id}", headers=self._headers))

    async def timeline(self, job_id: str) -> list[dict[str, Any]]:
        """What happened to the job so far, oldest first."""
        url = f"{self._api}/v1/jobs/{job_id}/events"
        entries: list[dict[str, Any]] = _decoded(await self._call("GET", url, headers=self._headers))["data"]
        return entries

    async def is_known(self) -> bool:
        """Whether the key is good."""
        answer = await self._send("GET", f"{self._api}/v1/jobs?limit=1", headers=self._headers)
        return answer.status_code != httpx.codes.UNAUTHORIZED

    async def new_webhooks(self) -> list[Webhook]:
        """What came since the last time this was asked."""
        url = f"{self._receiver}/_receiver/deliveries?after={self._came}"
        came = msgspec.json.decode((await self._call("GET", url)).content, type=_Webhooks).data
        self._came += len(came)
        return came

    def receiver_forgot(self) -> None:
        """The receiver was started again."""
        self._came = 0

    async def picture(self, url: str) -> bytes:
        """What is behind a URL of the simulator."""
        return (await self._call("GET", url)).content

    async def _call(self, method: str, url: str, **content: Any) -> httpx.Response:
        answer = await self._send(method, url, **content)
        if not answer.is_success:
            raise CommandError(f"{method} {url} answered {answer.status_code}: {answer.text[:2000]}")
        return answer

    async def _send(self, method: str, url: str, **content: Any) -> httpx.Response:
        try:
            return await self._http.request(method, url, **content)
        except httpx.HTTPError as error:
            raise CommandError(
                f"{method} {url} got no answer: {str(error) or type(error).__name__}"
            ) from error


def _decoded(answer: httpx.Response) -> dict[str, Any]:
    return msgspec.json.decode(answer.content, type=dict[str, Any])
