"""What a key looks like, and that a typing error is caught without asking anybody."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.tenants import keys

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("kind", ["live", "test", "admin"])
def test_a_key_names_what_it_is_for_and_has_a_checksum(kind: str) -> None:
    made = keys.new(kind)  # type: ignore[arg-type]  # as many as there are
    assert re.fullmatch(rf"ej_{kind}_[0-9A-Za-z]{{49}}", made)
    assert keys.is_well_formed(made)
    assert len({keys.new(kind) for _ in range(100)}) == 100  # type: ignore[arg-type]


KEY = keys.new("live")


@given(st.integers(0, len(KEY) - 1), st.sampled_from(LETTERS))
def test_no_letter_can_be_mistyped(place: int, letter: str) -> None:
    mistyped = KEY[:place] + letter + KEY[place + 1 :]
    assert keys.is_well_formed(mistyped) is (mistyped == KEY)


@given(st.integers(0, len(KEY) - 2))
def test_no_two_letters_can_change_places(place: int) -> None:
    swapped = KEY[:place] + KEY[place + 1] + KEY[place] + KEY[place + 2 :]
    assert keys.is_well_formed(swapped) is (swapped == KEY)


@given(st.text())
def test_what_is_no_key_is_not_taken_for_one(text: str) -> None:
    assert not keys.is_well_formed(text)
    assert not keys.is_well_formed(KEY + text + "x")
    assert not keys.is_well_formed(KEY[: len(text) % len(KEY)])


def test_the_mode_is_part_of_what_is_checked() -> None:
    for other in ("ej_test_", "ej_admin_", "ej_live", "EJ_LIVE_"):
        assert not keys.is_well_formed(KEY.replace("ej_live_", other))
