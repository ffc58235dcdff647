"""One attempt that is made now, because somebody wants to see whether it arrives.

Signed as every other, and through the same transport: only to judged addresses. It is no event: neither the
log nor the feed has it, and it counts neither for nor against the endpoint.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

import msgspec

from service.clock import moment
from service.errors import NotFoundError, RateLimitedError
from service.http import Transport
from service.ids import uuid7
from service.settings import Settings
from service.telemetry import log, without_query
from service.webhooks.attempt import Attempt, connect, post
from service.webhooks.endpoint import Endpoint
from service.webhooks.keychain import Keychain
from service.webhooks.outbox import envelope
from service.webhooks.secrets import NoSecretError

AT_ONCE = 50
"""Made by one process at the same time; who waits for longer than an attempt may take hears of a time-out."""
OF_A_TENANT = 4
"""The same of one tenant: hanging receivers of its own hold up nobody else's tests."""
TYPE = "webhook.test"
MESSAGE = "Somebody asked whether this arrives. Nothing has happened to any job."


class Trials:
    """What makes them, in one process; each within `deadline` seconds."""

    def __init__(self, keychain: Keychain, *, transport: Transport, deadline: float) -> None:
        self._keychain = keychain
        self._transport = transport
        self._deadline = deadline
        self._under_way: Counter[UUID] = Counter()

    @classmethod
    def connect(cls, settings: Settings, keychain: Keychain) -> Self:
        """With connections of its own, as the settings say."""
        transport = connect(connections=AT_ONCE, allowed=settings.webhook_allowed_networks)
        return cls(keychain, transport=transport, deadline=settings.webhook_deadline_seconds)

    async def make(self, endpoint: Endpoint) -> dict[str, Any]:
        """Make one, also if the endpoint is disabled, and tell what came of it.

        Of an address that must not be called no more is told than that: neither which it is nor what is
        there. Raises RateLimitedError, and NotFoundError for an endpoint that was removed meanwhile.
        """
        tenant_id = endpoint.tenant_id
        if self._under_way[tenant_id] >= OF_A_TENANT:
            raise RateLimitedError(
                f"Only {OF_A_TENANT} tests are made at once.", limit="tests_at_once", retry_after=1
            )
        self._under_way[tenant_id] += 1
        try:
            return await self._made(endpoint)
        finally:
            self._under_way[tenant_id] -= 1
            if not self._under_way[tenant_id]:
                del self._under_way[tenant_id]

    async def close(self) -> None:
        """Close all connections to receivers."""
        await self._transport.aclose()

    async def _made(self, endpoint: Endpoint) -> dict[str, Any]:
        # Whoever has just rotated the secret wants to see whether the new one fits.
        try:
            signer = await self._keychain.as_of_now(endpoint.tenant_id, endpoint.id)
        except NoSecretError as error:
            raise NotFoundError(f"There is no webhook endpoint {endpoint.id}.") from error
        message = _Message(endpoint.url, uuid7(), _body(endpoint, at := datetime.now(UTC)), at)
        made = await post(self._transport, message, signer=signer, deadline=self._deadline)
        _tell(endpoint, message, made)
        return {
            "event_id": str(message.event_id),
            "url": endpoint.url,
            "at": moment(at),
            "delivered": made.record.error is None,
            "status_code": made.record.status_code,
            "latency_ms": made.record.latency_ms,
            "error": made.record.error,
            "response": made.record.response.decode(errors="replace"),
        }


@dataclass(frozen=True, slots=True)
class _Message:
    url: str
    event_id: UUID
    body: bytes
    at: datetime
    attempt: int = 1


def _body(endpoint: Endpoint, at: datetime) -> bytes:
    data = {
        "endpoint_id": str(endpoint.id),
        "tenant_id": str(endpoint.tenant_id),
        "mode": endpoint.mode,
        "message": MESSAGE,
    }
    return msgspec.json.encode(envelope(TYPE, at, data))


def _tell(endpoint: Endpoint, message: _Message, made: Attempt) -> None:
    log.info(
        "endpoint.tested",
        tenant_id=str(endpoint.tenant_id),
        endpoint_id=str(endpoint.id),
        event_id=str(message.event_id),
        url=without_query(endpoint.url),
        status_code=made.record.status_code,
        seconds=made.record.latency_ms / 1000,
        error=made.record.error,
    )
