"""One attempt that is made now, because somebody wants to see whether it arrives.

Signed as every other, and through the same transport: only to judged addresses. It is no event: it is in
neither the log nor the feed, and neither counts for nor against the endpoint.
"""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from service.clock import moment
from service.http import Transport
from service.ids import uuid7
from service.webhooks.attempt import DEADLINE_SECONDS, Attempt, Message, post
from service.webhooks.endpoint import Endpoint
from service.webhooks.keychain import Keychain

TRIALS = 50
"""Made at once by one process; who waits for longer than an attempt may take is told that it timed out."""
TYPE = "webhook.test"


async def make(endpoint: Endpoint, *, keychain: Keychain, transport: Transport) -> dict[str, Any]:
    """Make it, and tell what came of it; of a refused address no more than that it is refused."""
