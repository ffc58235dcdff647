"""The account of each job: the platform's, its tenant's own, whose token an operator may change, or, for the
jobs of test keys, that of the scripted upstream.

Tokens are read again every `RELOAD_SECONDS`, so that a change counts everywhere within 5 s. What cannot be
read, or was taken away, fails no job: they wait, and an operator sees why. Once that is mended, jobs that
were turned away wait no longer.
"""

import asyncio
from collections.abc import Iterable
from uuid import UUID

from service.database import Database, is_outage
from service.encryption import UnreadableSecretError, Vault
from service.jobs.account import Account
from service.jobs.store import line
from service.telemetry import log
from service.tenants import tokens
from service.tenants.models import PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID
from service.tenants.tokens import OwnToken
from service.upstream.calls import Calls
from service.upstream.scripted import PLACES

RELOAD_SECONDS = 2.0


class Accounts:
    """All accounts that this process has met."""

    def __init__(
        self,
        database: Database,
        upstream: Calls,
        scripted: Calls,
        *,
        vault: Vault,
        token: str,
        places: int,
        slots: int,
    ) -> None:
        """`token` and `places` are the platform's; `slots` is how many submits may be on the wire at most."""
        self._database = database
        self._upstreams = {SCRIPTED_TOKEN_ID: scripted}
        self._else = upstream
        self._vault = vault
        self._slots = slots
        self._known: dict[UUID, Account] = {}
        self._sealed: dict[UUID, bytes] = {}
        self._to_report: set[Account] = set()
        # The platform's token may be another one than before this start.
        self._to_hurry = {PLATFORM_TOKEN_ID}
        self._woken = asyncio.Event()
        self.platform = self._shared(PLATFORM_TOKEN_ID, token=token, places=places)
        self._shared(SCRIPTED_TOKEN_ID, token="", places=PLACES)

    def of(self, token_id: UUID | None) -> Account:
        """The account that has, or is to have, this token. One not met before waits for its token."""
        assert token_id is not None, "what is asked about was claimed with a token"
        account = self._known.get(token_id)
        if account is None:
            upstream = self._upstreams.get(token_id, self._else)
            account = Account(upstream, token_id=token_id, slots=self._slots, on_trouble=self._note_trouble)
            self._known[token_id] = account
            self._woken.set()
        return account

    async def run(self) -> None:
        """Read the tokens again and again, and write down trouble when it comes and when it is over."""
        while True:
            self._woken.clear()
            try:
                await self._read()
                await self._report()
                await self._hurry()
            except Exception as error:
                if not is_outage(error):
                    log.exception("accounts.fault")
            try:
                async with asyncio.timeout(RELOAD_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass

    def _shared(self, token_id: UUID, *, token: str, places: int) -> Account:
        account = self.of(token_id)
        account.use(token)
        account.places = places
        return account

    def _note_trouble(self, account: Account) -> None:
        self._to_report.add(account)
        if account.trouble is None:
            self._to_hurry.add(account.token_id)
        self._woken.set()

    async def _read(self) -> None:
        async with self._database.statement() as connection:
            own = await tokens.own(connection)
        for token in own:
            self._update(token)
        for token_id in self._gone(own):
            if self._sealed.pop(token_id, None) is not None:
                self._to_hurry.add(PLATFORM_TOKEN_ID)  # which its tenant's jobs go to now
            self._known[token_id].shut("The token of this account was taken away.")

    def _update(self, token: OwnToken) -> None:
        account = self.of(token.id)
        account.places = token.max_in_flight
        if self._sealed.get(token.id) == token.sealed:
            return
        try:
            account.use(self._vault.open(token.sealed, row=token.id).decode())
            self._to_hurry.add(token.id)
        except (UnreadableSecretError, UnicodeDecodeError):
            account.shut("The token of this account cannot be opened: is its key still in SECRET_KEY?")
        self._sealed[token.id] = token.sealed

    async def _hurry(self) -> None:
        hurried, self._to_hurry = self._to_hurry, set()
        if not hurried:
            return
        try:
            async with self._database.statement() as connection:
                await line.hurry(connection, hurried)
        except BaseException:
            self._to_hurry |= hurried
            raise

    def _gone(self, own: Iterable[OwnToken]) -> set[UUID]:
        return self._known.keys() - {token.id for token in own} - {PLATFORM_TOKEN_ID, SCRIPTED_TOKEN_ID}

    async def _report(self) -> None:
        while self._to_report:
            account = next(iter(self._to_report))
            trouble = account.trouble
            async with self._database.statement() as connection:
                await tokens.report(connection, account.token_id, trouble=trouble)
            if account.trouble == trouble:
                self._to_report.discard(account)
