"""Who is next: how the places of a process are shared out among what is due, and where the rest waits. Pure.

A lane is an endpoint, or a tenant's origin for `callback_url`s. What was asked for again goes in a lane
beside it, which has at most one of its places. First comes the tenant with the least under way here, then the
one that was served longest ago; the same among the lanes of a tenant.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

REPLAY = "replay:"
FULL_SECONDS = 1.0
"""A full lane is looked at again when an attempt of it has ended; and after this, should nobody have seen
that."""

Key = tuple[UUID, str]
"""A tenant and a lane's name."""

_NEVER = datetime.min.replace(tzinfo=UTC)


def endpoint_lane(endpoint_id: UUID) -> str:
    """The name of an endpoint's lane."""
    return f"endpoint:{endpoint_id}"


def beside(key: Key) -> Key:
    """The lane whose places and breaker it shares: itself, unless it is a lane of replays."""
    return key[0], key[1].removeprefix(REPLAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A delivery whose time has come. `in_line`: an earlier claim could not take it."""

    id: UUID
    key: Key
    due_at: datetime
    in_line: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A lane's row."""

    served_at: datetime | None
    places: int | None
    open_until: datetime | None
    ready_at: datetime | None
    failures: int

    @property
    def is_well(self) -> bool:
        return self.failures == 0 and self.places is None and self.open_until is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that a claim goes by, as of `now`.

    `ready`: lanes whose lines were looked at, each further than it has places. `under_way`: attempts in all
    processes. `own`: this process's, of each tenant.
    """

    now: datetime
    due: Sequence[Due] = ()
    ready: Collection[Key] = ()
    lanes: Mapping[Key, Lane] = field(default_factory=dict)
    under_way: Mapping[Key, int] = field(default_factory=dict)
    own: Mapping[UUID, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """How it stands with a lane after a claim. `ready_at` is None if nobody is left in its line."""

    key: Key
    ready_at: datetime | None
    served: bool
    lane: Lane | None

    def moves_at(self, now: datetime) -> bool:
        """Whether its line moves once an attempt ends, and not only when its breaker lets the next one
        through."""
        return self.ready_at is not None and self.ready_at <= now + timedelta(seconds=FULL_SECONDS)


def choose(look: Look, *, room: int, tenant_room: int, lane_slots: int) -> list[Due]:
    """What is to be taken now, first come first."""
    waiting = _by_lane(look.due)
    free = _free(look, waiting, lane_slots)
    of_tenants: dict[UUID, list[tuple[int, datetime, Due]]] = defaultdict(list)
    for key, line in waiting.items():
        served = _served(look, key)
        for place, due in enumerate(line[: free[key]]):
            of_tenants[key[0]].append((place, served, due))
    turns: list[tuple[int, datetime, Due]] = []
    for tenant_id, candidates in of_tenants.items():
        own = look.own.get(tenant_id, 0)
        served = max(served for _, served, _ in candidates)
        candidates.sort(key=_turn)
        chosen = candidates[: max(0, tenant_room - own)]
        turns += [(place, served, due) for place, (_, _, due) in enumerate(chosen, start=own)]
    turns.sort(key=_turn)
    return [due for _, _, due in turns[:room]]


def after(look: Look, taken: Collection[UUID], *, lane_slots: int) -> list[After]:
    """Where the claim leaves the lanes that are concerned; those that have no row and need none are not."""
    served = Counter(due.key for due in look.due if due.id in taken)
    left = _by_lane([due for due in look.due if due.id not in taken])
    under_way = Counter(look.under_way) + served
    found = []
    for key in {*look.ready, *left, *(key for key in served if key in look.lanes)}:
        lane = look.lanes.get(key)
        ready_at = lane.ready_at if lane and key not in look.ready else None
        if key in left:
            ready_at = _ready(look, key, under_way, lane_slots)
        found.append(After(key=key, ready_at=ready_at, served=key in served, lane=lane))
    return found


def _by_lane(due: Sequence[Due]) -> dict[Key, list[Due]]:
    lanes: dict[Key, list[Due]] = defaultdict(list)
    for one in sorted(due, key=lambda one: (one.due_at, one.id)):
        lanes[one.key].append(one)
    return lanes


def _free(look: Look, waiting: Mapping[Key, Sequence[Due]], lane_slots: int) -> dict[Key, int]:
    """How many of each lane may be taken, were there no other lanes."""
    free: dict[Key, int] = {}
    for fresh in {beside(key) for key in waiting}:
        again = (fresh[0], REPLAY + fresh[1])
        places = _places(look, fresh, lane_slots)
        left = max(0, places - look.under_way.get(fresh, 0) - look.under_way.get(again, 0))
        replays = min(1 - min(1, look.under_way.get(again, 0)), len(waiting.get(again, ())), left)
        if places < lane_slots or places == 1:
            # No place to spare: the fresh ones go first.
            replays = min(replays, left - min(left, len(waiting.get(fresh, ()))))
        free[again], free[fresh] = replays, left - replays
    return free


def _places(look: Look, key: Key, lane_slots: int) -> int:
    """Attempts at once that the receiver gets now: as many as usual, fewer while it recovers."""
    lane = look.lanes.get(beside(key))
    if lane is None:
        return lane_slots
    if lane.open_until is not None and lane.open_until > look.now:
        return 0
    return lane_slots if lane.places is None else min(lane.places, lane_slots)


def _ready(look: Look, key: Key, under_way: Mapping[Key, int], lane_slots: int) -> datetime:
    """When to look at the line of this lane, in which somebody stands."""
    fresh = beside(key)
    lane = look.lanes.get(fresh)
    if lane is not None and lane.open_until is not None and lane.open_until > look.now:
        return lane.open_until
    busy = under_way.get(fresh, 0) + under_way.get((fresh[0], REPLAY + fresh[1]), 0)
    is_full = busy >= _places(look, key, lane_slots) or (key != fresh and under_way.get(key, 0) > 0)
    return look.now + timedelta(seconds=FULL_SECONDS) if is_full else look.now


def _served(look: Look, key: Key) -> datetime:
    lane = look.lanes.get(key)
    return _NEVER if lane is None or lane.served_at is None else lane.served_at


def _turn(turn: tuple[int, datetime, Due]) -> tuple[int, datetime, datetime, UUID]:
    place, served, due = turn
    return place, served, due.due_at, due.id
