"""Deliveries in Postgres: how they are claimed and settled, and all that changes or removes them afterwards.

`outbox` writes them in the first place; lists and the feed are read by `log`, `oversight` and `feed_reader`.

As with jobs, a claim writes owner, lease and a new epoch, and every later write is guarded by that epoch.
Due times are compared with `:now`, leases run on `clock_timestamp()`.
"""

from service.webhooks.store.claims import Claimed
from service.webhooks.store.reads import Progress, of_jobs
from service.webhooks.store.settle import Record
from service.webhooks.store.table import DELIVERIES, EVENTS

__all__ = ["DELIVERIES", "EVENTS", "Claimed", "Progress", "Record", "of_jobs"]
