"""One turn of a sender with Postgres: write down what came of its attempts, then claim as much as there is
room for.

One transaction under the lock of all senders, so that the places that became free are counted, and the
breakers that opened are open, when the next are chosen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.clock import moment
from service.database import AnyConnection, Database
from service.ids import uuid7
from service.telemetry import without_query
from service.webhooks import lanes, outbox
from service.webhooks.rules import Rules
from service.webhooks.schedule import Delivered
from service.webhooks.store import claims, failures
from service.webhooks.store import lanes as rows_of_lanes
from service.webhooks.store import settle as settling
from service.webhooks.store.claims import MOST_LANES, MOST_LOOKED_AT, Claimed
from service.webhooks.store.failures import Disabled, Opened
from service.webhooks.store.settle import Ended

DISABLED_EVENT = "endpoint.disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What came of it. `settled`: deliveries that were still the sender's. `saw_all`: no more is due than was
    seen.

    `left_behind`: somebody stands in a line that moves as soon as an attempt ends, or nobody looked.
    """

    settled: frozenset[UUID] = frozenset()
    opened: Sequence[Opened] = ()
    disabled: Sequence[Disabled] = ()
    claimed: Sequence[Claimed] = ()
    saw_all: bool = True
    left_behind: bool = False


async def take_turn(
    database: Database,
    ended: Sequence[Ended],
    *,
    room: int,
    owner: str,
    lease: float,
    rules: Rules,
    now: datetime | None,
) -> Turn:
    """Settle these attempts and claim up to `room` deliveries."""
    async with database.hot_transaction() as connection:
        await claims.lock(connection)
        settled: set[UUID] = set()
        opened: list[Opened] = []
        disabled: list[Disabled] = []
        if ended:
            settled = await settling.settle(connection, ended, lane_slots=rules.lane_slots, now=now)
            opened, disabled = await _fail(connection, ended, rules=rules, now=now)
        turn = Turn(settled=frozenset(settled), opened=opened, disabled=disabled, left_behind=room <= 0)
        if room <= 0:
            return turn
        return await _claim(connection, turn, room=room, owner=owner, lease=lease, rules=rules, now=now)


async def _fail(
    connection: AnyConnection, ended: Sequence[Ended], *, rules: Rules, now: datetime | None
) -> tuple[list[Opened], list[Disabled]]:
    if all(isinstance(one.verdict, Delivered) for one in ended):
        return [], []
    opened = await failures.fail_lanes(connection, ended, rules=rules, now=now)
    disabled = await failures.fail_endpoints(connection, ended, rules=rules, now=now)
    for endpoint in disabled:
        await outbox.keep(
            connection,
            DISABLED_EVENT,
            _told(endpoint),
            id=uuid7(),
            tenant_id=endpoint.tenant_id,
            mode=endpoint.mode,
            at=endpoint.disabled_at,
        )
    return opened, disabled


async def _claim(
    connection: AnyConnection,
    turn: Turn,
    *,
    room: int,
    owner: str,
    lease: float,
    rules: Rules,
    now: datetime | None,
) -> Turn:
    look, aside = await claims.look(connection, owner=owner, lane_slots=rules.lane_slots, now=now)
    if look is None:
        return turn
    for status in sorted(set(aside.values())):
        ids = [delivery_id for delivery_id, becomes in aside.items() if becomes == status]
        await claims.put_aside(connection, ids, status, at=look.now)
    chosen = lanes.choose(look, room=room, tenant_room=rules.tenant_slots, lane_slots=rules.lane_slots)
    claimed = await claims.take(connection, chosen, owner=owner, lease=lease, at=look.now) if chosen else []
    taken = {delivery.id for delivery in claimed}
    if new_in_line := [due.id for due in look.due if due.id not in taken and not due.in_line]:
        await claims.line_up(connection, new_in_line)
    left = lanes.after(look, taken, tenant_room=rules.tenant_slots, lane_slots=rules.lane_slots)
    await rows_of_lanes.leave(connection, left, at=look.now)
    return Turn(
        settled=turn.settled,
        opened=turn.opened,
        disabled=turn.disabled,
        claimed=claimed,
        saw_all=(
            sum(not due.in_line for due in look.due) < MOST_LOOKED_AT
            and len(look.ready) < MOST_LANES
            and not aside
        ),
        left_behind=any(one.moves_at(look.now) for one in left),
    )


def _told(endpoint: Disabled) -> dict[str, object]:
    return {
        "id": str(endpoint.id),
        "url": without_query(endpoint.url),
        "disabled_reason": endpoint.reason,
        "disabled_at": moment(endpoint.disabled_at),
        "failing_since": moment(endpoint.failing_since),
        "last_success_at": moment(endpoint.succeeded_at),
        "tenant_id": str(endpoint.tenant_id),
        "mode": endpoint.mode,
    }
