"""What handlers work with: made once per process, found through the request."""

from dataclasses import dataclass
from typing import Any, cast

from litestar import Litestar, Request

from service.clock import Clock
from service.database import Database
from service.encryption import Vault
from service.http import Transport
from service.jobs.cancel import HOLD_SECONDS
from service.jobs.envelope import Envelope
from service.jobs.waiting import Line
from service.queue import Bell
from service.tenants.keyring import Keyring
from service.webhooks.forms import Forms
from service.webhooks.keychain import Keychain


@dataclass(frozen=True, slots=True)
class Parts:
    """`schema_version` is the oldest version of the database's schema that this code runs on.

    `strangers` is what calls receivers, each within `webhook_deadline` seconds. `description` is the OpenAPI
    document; the holds are for how many seconds a cancel may wait, ours and that of RunComfy's interface.
    """

    database: Database
    keyring: Keyring
    envelope: Envelope
    bell: Bell
    clock: Clock
    line: Line
    forms: Forms
    vault: Vault
    keychain: Keychain
    strangers: Transport
    webhook_deadline: float
    public_url: str
    schema_version: str
    description: bytes
    cancel_hold: float = HOLD_SECONDS
    runcomfy_cancel_hold: float = 2 * HOLD_SECONDS

    @classmethod
    def of(cls, request: Request[Any, Any, Any]) -> "Parts":
        """Those of the application that got this request."""
        return cast("Parts", request.app.state.parts)

    async def close(self) -> None:
        """Disconnect from everything."""
        await self.strangers.aclose()
        await self.bell.close()
        await self.database.close()


def keep(app: Litestar, parts: Parts) -> None:
    """Make the parts those of the application."""
    app.state.parts = parts
