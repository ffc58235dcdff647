"""What one account learns from its answers, and what it does without a token."""

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from service.jobs.account import MOST_ASKS, Account
from service.upstream.calls import Calls
from service.upstream.outcomes import (
    Accepted,
    Cancelled,
    CancelOutcome,
    Denied,
    Finished,
    InQueue,
    ResultOutcome,
    StatusOutcome,
    SubmitOutcome,
    Succeeded,
    Unreachable,
)

DENIED = Denied("bad token", 400, 400004)
NO_BALANCE = Denied("no balance", 400, 400002)
NO_RIGHT = Denied("not with this plan", 403, None)


@dataclass
class Told(Calls):
    """An upstream that answers what it is told to, and notes the tokens it was asked with."""

    submits: SubmitOutcome = field(default_factory=lambda: Accepted("up-1"))
    reads: StatusOutcome = field(default_factory=Finished)
    results: ResultOutcome = field(default_factory=lambda: Succeeded({"images": ["https://a/1"]}))
    tokens: list[str] = field(default_factory=list)

    async def submit(
        self, model: str, inputs: dict[str, Any], *, token: str, not_after: float
    ) -> SubmitOutcome:
        self.tokens.append(token)
        return self.submits

    async def status(self, request_id: str, *, token: str) -> StatusOutcome:
        self.tokens.append(token)
        return self.reads

    async def result(self, request_id: str, *, token: str) -> ResultOutcome:
        self.tokens.append(token)
        return self.results

    async def cancel(self, request_id: str, *, token: str) -> CancelOutcome:
        self.tokens.append(token)
        return Cancelled()


def account(upstream: Told, *, token: str | None = "tok") -> tuple[Account, list[str | None]]:
    troubles: list[str | None] = []
    made = Account(
        upstream, token_id=UUID(int=7), slots=8, on_trouble=lambda one: troubles.append(one.trouble)
    )
    if token:
        made.use(token)
    return made, troubles


async def submit(made: Account) -> SubmitOutcome:
    return await made.submit("m", {}, not_after=time.monotonic() + 1)


async def test_before_its_token_was_read_nothing_is_asked_and_nothing_is_its_fault() -> None:
    made, troubles = account(upstream := Told(), token=None)
    answers = [await submit(made), await made.status("1"), await made.result("1"), await made.cancel("1")]
    assert {type(answer) for answer in answers} == {Unreachable}
    assert (made.window, upstream.tokens, troubles) == (0, [], [])


async def test_without_a_token_jobs_wait_for_the_account_and_somebody_is_told() -> None:
    made, troubles = account(upstream := Told())
    made.shut("its token is gone")
    answers = [await submit(made), await made.status("1"), await made.result("1"), await made.cancel("1")]
    assert {type(answer) for answer in answers} == {Denied}
    assert (made.window, upstream.tokens, troubles) == (0, [], ["its token is gone"])
    made.use("another")
    assert made.window == 8
    assert await made.status("1") == Finished()
    assert (upstream.tokens, troubles) == (["another"], ["its token is gone", None])


async def test_trouble_is_told_when_it_comes_and_when_it_is_over() -> None:
    made, troubles = account(upstream := Told())
    await made.status("1")
    upstream.reads = DENIED
    await made.status("1")
    await made.status("1")
    upstream.reads = InQueue(None)
    await made.status("1")
    assert troubles == [None, "bad token", None]


@pytest.mark.parametrize("denied", [NO_BALANCE, NO_RIGHT])
async def test_reads_that_go_on_do_not_say_that_submits_would(denied: Denied) -> None:
    made, troubles = account(upstream := Told(submits=denied))
    await submit(made)
    await made.status("1")
    assert (troubles, made.window) == ([denied.message], 0)
    upstream.submits = Accepted("up-1")
    await submit(made)
    assert troubles == [denied.message, None]


async def test_what_the_old_token_is_told_says_nothing_of_the_new_one() -> None:
    class Rotated(Told):
        async def status(self, request_id: str, *, token: str) -> StatusOutcome:
            made.use("new")
            return DENIED

    made, troubles = account(Rotated())
    assert await made.status("1") == DENIED
    assert (troubles, made.window) == ([], 8)


async def test_an_account_that_never_tells_a_cost_is_not_asked_for_ever() -> None:
    made, _ = account(upstream := Told())
    assert [made.may_tell_cost() for _ in range(MOST_ASKS + 1)] == [True] * MOST_ASKS + [False]
    await made.result("1")
    assert not made.may_tell_cost()
    upstream.results = Succeeded({"images": ["https://a/1"]}, cost=Decimal("0.015"))
    await made.result("1")
    assert made.may_tell_cost()
