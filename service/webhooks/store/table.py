"""The tables of deliveries, and what all statements on them share."""

from typing import cast

from sqlalchemy import Table

from service.webhooks.models import DeliveryRow, EventRow

DELIVERIES = cast("Table", DeliveryRow.__table__)
EVENTS = cast("Table", EventRow.__table__)

NOBODYS = "owner = NULL, lease_until = NULL"


def id_like(stem: str) -> str:
    """SQL for a new UUIDv7 of the same time as that one: an index of new rows grows at its end."""
    return f"CAST(left(CAST({stem} AS text), 19) || right(CAST(gen_random_uuid() AS text), 17) AS uuid)"
