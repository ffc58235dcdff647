"""One attempt that is made now, because somebody wants to see whether it arrives.

Signed as every other, and through the same transport: only to judged addresses. It is no event: neither the
log nor the feed has it, and it counts neither for nor against the endpoint.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from service.clock import moment
from service.http import Transport
from service.ids import uuid7
from service.telemetry import log, without_query
from service.webhooks.attempt import Attempt, post
from service.webhooks.endpoint import Endpoint
from service.webhooks.keychain import Keychain
from service.webhooks.outbox import envelope

AT_ONCE = 50
"""Made by one process at the same time; who waits for longer than an attempt may take hears of a time-out."""
TYPE = "webhook.test"


@dataclass(frozen=True, slots=True)
class _Message:
    url: str
    event_id: UUID
    body: bytes
    at: datetime
    attempt: int = 1


async def make(
    endpoint: Endpoint, *, keychain: Keychain, transport: Transport, deadline: float
) -> dict[str, Any]:
    """Make it within `deadline` seconds, also if the endpoint is disabled, and tell what came of it.

    Of an address that must not be called no more is told than that: neither which it is nor what is there.
    """
    signer = await keychain.of(endpoint.tenant_id, endpoint.id)
    message = _Message(endpoint.url, uuid7(), _body(endpoint, at := datetime.now(UTC)), at)
    made = await post(transport, message, signer=signer, deadline=deadline)
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


def _body(endpoint: Endpoint, at: datetime) -> bytes:
    data = {
        "endpoint_id": str(endpoint.id),
        "tenant_id": str(endpoint.tenant_id),
        "mode": endpoint.mode,
        "message": "Somebody asked whether this arrives. Nothing has happened to any job.",
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
