"""How rows of `jobs` become values, and the SQL words that several statements share."""

from typing import Any, cast

import msgspec
from sqlalchemy import Table, TextClause, text
from sqlalchemy.sql.selectable import TextualSelect

from service.jobs.lifecycle import ENDS, UNDER_WAY, Status
from service.jobs.models import IdempotencyKeyRow, JobEventRow, JobLabelRow, JobRow, states

JOBS = cast("Table", JobRow.__table__)
ENTRIES = cast("Table", JobEventRow.__table__)
LABELS = cast("Table", JobLabelRow.__table__)
KEYS = cast("Table", IdempotencyKeyRow.__table__)

COLUMNS = ", ".join(f"jobs.{column.name}" for column in JOBS.c)
"""Every column, in the order of the model, which is the order of `Job`'s fields."""

IS_UNDER_WAY = f"jobs.status IN ({states(UNDER_WAY)})"
LEASE_RAN_OUT = "(jobs.lease_until IS NULL OR jobs.lease_until < clock_timestamp())"
IS_READY = f"jobs.status = '{Status.ACCEPTED}' AND jobs.waiting_for IS NULL"
"""Stands in line to be claimed: neither put back for some time nor overdue."""
HAS_ENDED = f"jobs.status IN ({states(ENDS)})"
HOLDS_A_PLACE = f"""
    NOT ({HAS_ENDED}) AND (jobs.status <> '{Status.ACCEPTED}' OR jobs.lease_until > clock_timestamp())
"""
"""Of what was claimed for an account: all that is under way, and what was claimed and not sent yet."""


def returning_jobs(sql: str, *more: Any) -> TextualSelect:
    """A statement whose rows are `COLUMNS` and then the columns given here, with their types."""
    clause: TextClause = text(sql)
    return clause.columns(*JOBS.c, *more)


def encoded(value: object) -> str:
    """A value for a parameter that SQL casts to json."""
    return msgspec.json.encode(value).decode()
