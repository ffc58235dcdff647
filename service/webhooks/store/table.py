"""The tables of deliveries, and what all statements on them share."""

from typing import cast

from sqlalchemy import Table

from service.webhooks.models import DeliveryRow, EventRow

DELIVERIES = cast("Table", DeliveryRow.__table__)
EVENTS = cast("Table", EventRow.__table__)

NOW = "coalesce(CAST(:now AS timestamptz), clock_timestamp())"
"""The time that due times are compared with: Postgres's, or a test's."""

NOBODYS = "owner = NULL, lease_until = NULL"
