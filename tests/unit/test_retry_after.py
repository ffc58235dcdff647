"""The `Retry-After` header."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.http import retry_after

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("9" * 8000, 3600),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30),
        ("Sun, 22 Nov 2026 12:00:30 +0000", 30),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 22 Nov 2027 12:00:00 GMT", 3600),
    ],
)
def test_it_is_read_in_both_its_forms_and_asks_for_an_hour_at_most(header: str, seconds: float) -> None:
    assert retry_after(header, now=NOW) == seconds


@pytest.mark.parametrize("header", [None, "", "soon", "-3", "1.5", "Sun, 99 Nov 2026 12:00:30 GMT"])
def test_what_is_neither_asks_for_nothing(header: str | None) -> None:
    assert retry_after(header, now=NOW) is None


@given(st.text())
def test_no_text_makes_reading_fail(header: str) -> None:
    seconds = retry_after(header, now=NOW)
    assert seconds is None or 0 <= seconds <= 3600
