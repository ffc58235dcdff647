from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.webhooks.lanes import FULL_SECONDS, REPLAY, After, Due, Key, Lane, Look, after, beside, choose

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACME, UMBRELLA = UUID(int=1), UUID(int=2)
SLOTS = 4
_numbers = iter(range(10**6))


def due(key: Key, *, ago: float = 0, in_line: bool = False) -> Due:
    return Due(id=UUID(int=next(_numbers)), key=key, due_at=NOW - timedelta(seconds=ago), in_line=in_line)


def lane(**fields: Any) -> Lane:
    usual = {"served_at": None, "places": None, "open_until": None, "ready_at": None, "failures": 0}
    return Lane(**(usual | fields))


def chosen(look: Look, *, room: int = 100, tenant_room: int = 50) -> list[Key]:
    return [one.key for one in choose(look, room=room, tenant_room=tenant_room, lane_slots=SLOTS)]


def left(look: Look, *taken: Due) -> dict[Key, After]:
    return {one.key: one for one in after(look, {one.id for one in taken}, lane_slots=SLOTS)}


A, B, OTHER = (ACME, "https://a"), (ACME, "https://b"), (UMBRELLA, "https://a")


def test_no_lane_gets_more_than_its_places_and_no_tenant_more_than_its_share() -> None:
    many = [due(A) for _ in range(10)] + [due(B) for _ in range(10)] + [due(OTHER) for _ in range(10)]
    look = Look(now=NOW, due=many, under_way={A: 1, OTHER: 4})
    assert Counter(chosen(look)) == {A: 3, B: 4}
    look = Look(now=NOW, due=many, own={ACME: 48})
    assert Counter(key[0] for key in chosen(look)) == {ACME: 2, UMBRELLA: 4}


def test_in_a_lane_the_oldest_goes_first() -> None:
    young, old = due(A), due(A, ago=60, in_line=True)
    look = Look(now=NOW, due=[young, old], under_way={A: 3})
    assert choose(look, room=9, tenant_room=9, lane_slots=SLOTS) == [old]


def test_the_tenant_with_the_least_under_way_goes_first_however_long_the_others_wait() -> None:
    waiting = [due((ACME, f"https://{number}"), ago=60) for number in range(50)]
    look = Look(now=NOW, due=[*waiting, due(OTHER)], own={ACME: 20})
    assert chosen(look, room=1) == [OTHER]


def test_of_two_tenants_with_as_much_under_way_the_one_served_longest_ago_goes_first() -> None:
    seconds = {A: 1, OTHER: 5}
    lanes = {key: lane(served_at=NOW - timedelta(seconds=ago)) for key, ago in seconds.items()}
    look = Look(now=NOW, due=[due(A, ago=9), due(OTHER)], lanes=lanes)
    assert chosen(look, room=1) == [OTHER]


def test_of_a_tenants_lanes_the_one_served_longest_ago_goes_first() -> None:
    look = Look(now=NOW, due=[due(A, ago=9), due(B)], lanes={A: lane(served_at=NOW)})
    assert chosen(look, room=1) == [B]


def test_tenants_take_turns() -> None:
    look = Look(now=NOW, due=[due(A, ago=9) for _ in range(4)] + [due(OTHER) for _ in range(4)])
    assert chosen(look, room=4) == [A, OTHER, A, OTHER]


def test_nothing_is_taken_from_a_lane_whose_breaker_is_open_and_one_when_its_time_is_over() -> None:
    until = NOW + timedelta(seconds=30)
    waiting = [due(A), due(A)]
    is_open = Look(now=NOW, due=waiting, lanes={A: lane(open_until=until, places=1, failures=5)})
    assert chosen(is_open) == []
    assert left(is_open)[A].ready_at == until
    half_open = Look(now=until, due=waiting, lanes={A: lane(open_until=until, places=1, failures=5)})
    assert chosen(half_open) == [A]
    probed = Look(
        now=until, due=waiting, lanes={A: lane(open_until=until, places=1, failures=5)}, under_way={A: 1}
    )
    assert chosen(probed) == []


def test_replays_take_one_place_and_share_the_breaker() -> None:
    again = (ACME, REPLAY + A[1])
    both = [due(A) for _ in range(9)] + [due(again, ago=60) for _ in range(9)]
    assert Counter(chosen(Look(now=NOW, due=both))) == {A: 3, again: 1}
    assert Counter(chosen(Look(now=NOW, due=both, under_way={again: 1}))) == {A: 3}
    recovering = Look(now=NOW, due=both, lanes={A: lane(places=1)})
    assert chosen(recovering) == [A]
    open_until = NOW + timedelta(seconds=30)
    assert chosen(Look(now=NOW, due=both, lanes={A: lane(open_until=open_until, places=1)})) == []
    alone = Look(now=NOW, due=both[9:], lanes={A: lane(places=1)})
    assert chosen(alone) == [again]


def test_whoever_is_left_stands_in_a_line_that_somebody_will_look_at() -> None:
    first, second = due(A, in_line=True), due(A, in_line=True)
    look = Look(now=NOW, due=[first, second], ready={A}, lanes={A: lane(ready_at=NOW)}, under_way={A: 3})
    assert left(look, first)[A].ready_at == NOW + timedelta(seconds=FULL_SECONDS)
    assert left(look, first, second)[A].ready_at is None
    # No place was left in the process: whoever has one may look at once.
    assert left(Look(now=NOW, due=[first]))[A].ready_at == NOW


def test_a_lane_of_which_all_is_taken_and_that_has_no_row_needs_none() -> None:
    first = due(A)
    assert left(Look(now=NOW, due=[first]), first) == {}


def test_a_line_that_was_not_looked_at_stays_as_ready_as_it_was() -> None:
    later, first = NOW + timedelta(seconds=1), due(A)
    found = left(Look(now=NOW, due=[first], lanes={A: lane(ready_at=later)}), first)[A]
    assert (found.ready_at, found.served) == (later, True)


keys = st.sampled_from([A, B, OTHER, (ACME, REPLAY + A[1])])
rows = st.builds(
    lane,
    places=st.none() | st.integers(1, 3),
    open_until=st.none() | st.sampled_from([NOW - timedelta(seconds=1), NOW + timedelta(seconds=9)]),
    ready_at=st.just(NOW),
    served_at=st.none() | st.just(NOW),
)


@given(
    waiting=st.lists(keys, max_size=30),
    lanes=st.dictionaries(keys, rows),
    under_way=st.dictionaries(keys, st.integers(0, 5)),
    own=st.dictionaries(st.sampled_from([ACME, UMBRELLA]), st.integers(0, 9)),
    room=st.integers(1, 20),
)
def test_whatever_is_due_all_limits_hold_and_nobody_is_forgotten(
    waiting: list[Key],
    lanes: Mapping[Key, Lane],
    under_way: Mapping[Key, int],
    own: Mapping[UUID, int],
    room: int,
) -> None:
    all_due = [due(key) for key in waiting]
    look = Look(now=NOW, due=all_due, ready=set(lanes), lanes=lanes, under_way=under_way, own=own)
    taken = choose(look, room=room, tenant_room=8, lane_slots=SLOTS)
    assert len(taken) == len({one.id for one in taken}) <= room
    for tenant_id in (ACME, UMBRELLA):
        more = sum(one.key[0] == tenant_id for one in taken)
        assert more == 0 or more + own.get(tenant_id, 0) <= 8
    for base in (A, B, OTHER):
        more = sum(beside(one.key) == base for one in taken)
        busy = sum(count for key, count in under_way.items() if beside(key) == base)
        row = lanes.get(base)
        places = SLOTS if row is None or row.places is None else row.places
        if row and row.open_until and row.open_until > NOW:
            places = 0
        assert more == 0 or more + busy <= places
    states = left(look, *taken)
    for one in all_due:
        if one not in taken:
            assert states[one.key].ready_at is not None
