"""The right to make an attempt: a look at what is due, then a guarded claim of what was chosen.

All of it under one advisory lock, taken by a statement before the look: counts read in the statement that
takes a lock are older than the lock.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from service.database import AnyConnection
from service.database.base import NOW
from service.database.locks import SENDERS, take_lock
from service.webhooks.lanes import Due, Key, Lane, Look
from service.webhooks.store import moving
from service.webhooks.store.table import NOBODYS

MOVED = "moved"
"""Of what is put aside: its endpoint has another URL now, and it is looked at again when it has too."""
MOST_LOOKED_AT = 400
"""Due deliveries that stand in no line. Each is looked at once: after that it is taken, or stands in one."""
MOST_LANES = 100
"""Ready lanes, those first that are ready for longest."""
MOST_OF_A_LANE = 50
"""Places that a lane can have."""

# The time is read once: a function that is called for each row would be no condition for an index. The
# numbers are constants because they tell the planner that few rows are wanted.
_LOOK = text(
    f"""
    WITH clock AS MATERIALIZED (
        SELECT {NOW} AS now
    ), ready AS MATERIALIZED (
        SELECT tenant_id, origin FROM webhook_lanes
        WHERE ready_at <= (SELECT now FROM clock) ORDER BY ready_at LIMIT {MOST_LANES}
    ), due AS MATERIALIZED (
        (SELECT tenant_id, origin, id, endpoint_id, url, due_at, in_line, FALSE AS is_ready
         FROM webhook_deliveries
         WHERE status = 'pending' AND NOT in_line AND due_at <= (SELECT now FROM clock)
         ORDER BY due_at LIMIT {MOST_LOOKED_AT})
        UNION ALL
        SELECT ready.tenant_id, ready.origin, line.id, line.endpoint_id, line.url, line.due_at, line.in_line,
               TRUE
        FROM ready LEFT JOIN LATERAL (
            SELECT * FROM (
                SELECT id, endpoint_id, url, due_at, in_line FROM webhook_deliveries
                WHERE status = 'pending' AND in_line AND due_at <= (SELECT now FROM clock)
                  AND tenant_id = ready.tenant_id AND origin = ready.origin
                ORDER BY due_at LIMIT {MOST_OF_A_LANE + 1}
            ) AS first LIMIT :lane_slots + 1
        ) AS line ON TRUE
    ), under_way AS MATERIALIZED (
        SELECT tenant_id, origin, count(*) AS attempts, count(*) FILTER (WHERE owner = :owner) AS own
        FROM webhook_deliveries WHERE status = 'delivering' GROUP BY tenant_id, origin
    ), lanes AS (
        SELECT tenant_id, origin FROM due
        UNION SELECT tenant_id, regexp_replace(origin, '^replay:', '') FROM due
        UNION SELECT tenant_id, origin FROM under_way
    )
    SELECT lanes.tenant_id, lanes.origin, coalesce(attempts, 0) AS attempts, coalesce(own, 0) AS own,
           lane.tenant_id IS NOT NULL AS has_row, lane.served_at, lane.places, lane.open_until, lane.ready_at,
           lane.failures, due.id, due.due_at, due.in_line, due.is_ready, (SELECT now FROM clock) AS now,
           CASE WHEN due.endpoint_id IS NULL THEN NULL
                WHEN endpoint.id IS NULL THEN 'cancelled'
                WHEN endpoint.disabled_at IS NOT NULL THEN 'held'
                WHEN endpoint.url <> due.url THEN '{MOVED}' END AS aside
    FROM lanes
    LEFT JOIN due USING (tenant_id, origin)
    LEFT JOIN under_way USING (tenant_id, origin)
    LEFT JOIN webhook_lanes AS lane USING (tenant_id, origin)
    LEFT JOIN webhook_endpoints AS endpoint ON endpoint.id = due.endpoint_id
    """
)

# What is locked is being erased, or withdrawn, and is left alone.
_FREE = """
    SELECT id FROM webhook_deliveries WHERE id = ANY (CAST(:ids AS uuid[])) AND status = 'pending'
    FOR UPDATE SKIP LOCKED
"""
_TAKE = text(
    f"""
    WITH free AS MATERIALIZED ({_FREE})
    UPDATE webhook_deliveries AS delivery
    SET status = 'delivering', in_line = FALSE, owner = :owner, epoch = epoch + 1, attempts = attempts + 1,
        lease_until = clock_timestamp() + CAST(:lease AS float8) * interval '1 second'
    FROM free, events AS event
    WHERE delivery.id = free.id AND event.id = delivery.event_id
    RETURNING delivery.id, delivery.epoch, delivery.attempts AS attempt, delivery.past_attempts,
              delivery.gives_up_at, delivery.tenant_id, delivery.mode, delivery.job_id, delivery.endpoint_id,
              delivery.url, delivery.origin, delivery.event_id, event.type, event.body,
              event.created_at AS happened_at, CAST(:at AS timestamptz) AS at
    """
)
_LINE_UP = text(
    f"""
    WITH free AS MATERIALIZED ({_FREE})
    UPDATE webhook_deliveries AS delivery SET in_line = TRUE FROM free WHERE delivery.id = free.id
    """
)
# Their endpoint was disabled, or removed, after they were made.
_PUT_ASIDE = text(
    f"""
    WITH free AS MATERIALIZED ({_FREE})
    UPDATE webhook_deliveries AS delivery
    SET status = :status, in_line = FALSE,
        reason = CASE WHEN :status = 'cancelled' THEN 'removed' ELSE reason END,
        finished_at = CASE WHEN :status = 'cancelled' THEN CAST(:at AS timestamptz) END
    FROM free WHERE delivery.id = free.id
    """
)

_GIVE_BACK = text(
    f"""
    UPDATE webhook_deliveries AS delivery SET status = 'pending', attempts = attempts - 1, {NOBODYS}
    FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS int[])) AS held (id, epoch)
    WHERE delivery.id = held.id AND delivery.epoch = held.epoch AND delivery.status = 'delivering'
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery whose attempt of that number is the claimer's to make, and all that it takes to make it."""

    id: UUID
    epoch: int
    attempt: int
    past_attempts: int
    gives_up_at: datetime
    tenant_id: UUID
    mode: str
    job_id: UUID | None
    endpoint_id: UUID | None
    url: str
    origin: str
    event_id: UUID
    type: str
    body: bytes
    happened_at: datetime
    at: datetime

    @property
    def lane(self) -> Key:
        return self.tenant_id, self.origin


async def lock(connection: AnyConnection) -> None:
    """Until the transaction ends nobody else claims or settles; everything else here comes after it."""
    await take_lock(connection, SENDERS)


async def look(
    connection: AnyConnection, *, owner: str, lane_slots: int, now: datetime | None
) -> tuple[Look | None, dict[UUID, str]]:
    """What is due and how it stands with the lanes, if anything is; and what is to be put aside, as what."""
    rows = await connection.execute(_LOOK, {"owner": owner, "lane_slots": lane_slots, "now": now})
    due: list[Due] = []
    aside: dict[UUID, str] = {}
    ready: set[Key] = set()
    lanes: dict[Key, Lane] = {}
    under_way: dict[Key, int] = {}
    own_of: dict[Key, int] = {}
    put_aside_of: set[Key] = set()
    at: datetime | None = None
    for (
        tenant_id,
        origin,
        attempts,
        own,
        *row_of_lane,
        id_,
        due_at,
        in_line,
        is_ready,
        now_,
        aside_as,
    ) in rows:
        key, at = (tenant_id, origin), now_
        under_way[key], own_of[key] = attempts, own
        has_row, *lane = row_of_lane
        if has_row and key not in lanes:
            lanes[key] = Lane(**dict(zip(Lane.__slots__, lane, strict=True)))
        if is_ready:
            ready.add(key)
        if aside_as:
            aside[id_] = aside_as
            put_aside_of.add(key)
        elif id_ is not None:
            due.append(Due(id=id_, key=key, due_at=due_at, in_line=in_line))
    if at is None or not (due or ready or aside):
        return None, {}
    of_tenants: Counter[UUID] = Counter()
    for (tenant_id, _), own in own_of.items():
        of_tenants[tenant_id] += own
    # A line of which something is put aside was not looked at to its end: it stays ready.
    ready -= put_aside_of
    return Look(now=at, due=due, ready=ready, lanes=lanes, under_way=under_way, own=of_tenants), aside


async def take(
    connection: AnyConnection, chosen: Sequence[Due], *, owner: str, lease: float, at: datetime
) -> list[Claimed]:
    """Claim them; what somebody else has locked or ended is not in the answer."""
    given = {"ids": [due.id for due in chosen], "owner": owner, "lease": lease, "at": at}
    rows = await connection.execute(_TAKE, given)
    return [Claimed(**dict(zip(Claimed.__slots__, row, strict=True))) for row in rows]


async def line_up(connection: AnyConnection, due: Collection[UUID]) -> None:
    """Let them stand in the lines of their lanes."""
    await connection.execute(_LINE_UP, {"ids": list(due)})


async def put_aside(connection: AnyConnection, due: Collection[UUID], status: str, *, at: datetime) -> None:
    """Make them `held` or `cancelled`: nothing is sent to their endpoint any more; or let them go where it is
    now.
    """
    if status == MOVED:
        await moving.move_these(connection, due, at=at)
        return
    await connection.execute(_PUT_ASIDE, {"ids": list(due), "status": status, "at": at})


async def give_back(connection: AnyConnection, deliveries: Sequence[Claimed]) -> None:
    """Undo the claim of deliveries whose attempt was not begun."""
    ids, epochs = [delivery.id for delivery in deliveries], [delivery.epoch for delivery in deliveries]
    await connection.execute(_GIVE_BACK, {"ids": ids, "epochs": epochs})
