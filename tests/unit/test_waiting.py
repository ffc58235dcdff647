"""Why an accepted job waits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store.waiting import Standing
from service.jobs.waiting import reason

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SOON, BEFORE = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)
FREE = Standing(now=NOW, clock=NOW, is_account_in_trouble=False, is_upstream_full=False, is_tenant_full=False)
FULL = replace(FREE, is_account_in_trouble=True, is_upstream_full=True, is_tenant_full=True)
GIVEN: dict[str, Any] = dict.fromkeys(Job.__slots__) | {
    "id": UUID(int=1),
    "mode": "live",
    "status": Status.ACCEPTED,
    "due_at": NOW,
}


def told(standing: Standing, **fields: Any) -> str | None:
    return reason(Job(**(GIVEN | fields)), standing)


def test_a_job_that_is_due_with_room_for_it_waits_for_nothing() -> None:
    assert told(FREE) is None
    assert told(FREE, lease_until=BEFORE, waiting_for="backoff", due_at=BEFORE) is None


@pytest.mark.parametrize("stored", ["backoff", "upstream_limit", "upstream_account", None])
def test_until_it_is_due_again_it_waits_for_what_put_it_back(stored: str | None) -> None:
    assert told(FULL, due_at=SOON, waiting_for=stored) == stored


def test_a_job_that_a_worker_has_waits_for_nothing() -> None:
    assert told(FULL, lease_until=SOON) is None
    assert told(FULL, lease_until=BEFORE) is not None


def test_of_several_reasons_the_one_that_lasts_longest_is_told() -> None:
    assert told(FULL) == "upstream_account"
    assert told(replace(FULL, is_account_in_trouble=False)) == "tenant_limit"
    assert told(replace(FREE, is_tenant_full=True)) == "tenant_limit"
    assert told(replace(FREE, is_upstream_full=True)) == "upstream_limit"
