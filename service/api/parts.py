"""What handlers work with: made once per process, found through the request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from litestar import Litestar, Request

from service.clock import Clock
from service.database import Database
from service.encryption import Vault
from service.jobs.backlog import Backlog
from service.jobs.cancel import HOLD_SECONDS
from service.jobs.envelope import Envelope
from service.jobs.storing import Storing
from service.jobs.waiting import Line
from service.queue import Bell
from service.rates import Rates
from service.tenants.keyring import Keyring
from service.webhooks.forms import Forms
from service.webhooks.keychain import Keychain
from service.webhooks.trial import Trials


@dataclass(frozen=True, slots=True)
class Parts:
    """`schema_version` is the oldest version of the database's schema that this code runs on.

    `description` tells the OpenAPI document, as JSON and as a page, made once it is asked for. The holds are
    for how many seconds a cancel may wait, ours and that of RunComfy's interface.
    """

    database: Database
    keyring: Keyring
    envelope: Envelope
    storing: Storing
    bell: Bell
    rates: Rates
    backlog: Backlog
    clock: Clock
    line: Line
    vault: Vault
    forms: Forms
    keychain: Keychain
    trials: Trials
    public_url: str
    schema_version: str
    description: Callable[[], bytes]
    description_page: Callable[[], bytes]
    cancel_hold: float = HOLD_SECONDS
    runcomfy_cancel_hold: float = 2 * HOLD_SECONDS

    @classmethod
    def of(cls, request: Request[Any, Any, Any]) -> "Parts":
        """Those of the application that got this request."""
        return cast("Parts", request.app.state.parts)

    async def close(self) -> None:
        """Disconnect from everything."""
        await self.trials.close()
        await self.bell.close()
        await self.rates.close()
        await self.database.close()


def keep(app: Litestar, parts: Parts) -> None:
    """Make the parts those of the application."""
    app.state.parts = parts
