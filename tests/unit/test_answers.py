"""How the upstream's answers are read."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.upstream import answers


@pytest.mark.parametrize(
    ("value", "media"),
    [
        ({"images": ["https://a/1", "https://a/2"]}, {"images": ["https://a/1", "https://a/2"]}),
        ({"image": "https://a/1"}, {"images": ["https://a/1"]}),
        ({"image": "https://a/1", "images": ["https://a/1", "https://a/2"]}, {"images": ["https://a/1", "https://a/2"]}),
        ({"video": "https://a/v", "videos": ["https://a/w"]}, {"videos": ["https://a/v", "https://a/w"]}),
        ("https://a/1", {"images": ["https://a/1"]}),
        (["https://a/1", "https://a/1"], {"images": ["https://a/1"]}),
        ({"images": [None, 3, "", "https://a/1"]}, {"images": ["https://a/1"]}),
        ({"input": {"image_urls": ["https://a/1"]}}, {}),
        ({}, {}),
        (None, {}),
        (7, {}),
    ],
)  # fmt: skip
def test_media_are_read_from_the_four_keys_and_nowhere_else(
    value: object, media: dict[str, list[str]]
) -> None:
    assert answers.output(value) == media


def test_escapes_in_output_urls_stay_as_they_are() -> None:
    url = "https://cdn.example/a%2Fb%20c.png?sig=%2B%3D"
    assert answers.output({"image": url}) == {"images": [url]}


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"error_message": "a", "message": "b", "error": "c", "detail": "d"}, "a"),
        ({"message": "b", "error": "c"}, "b"),
        ({"error": "c", "detail": "d"}, "c"),
        ({"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]},
         '[{"loc":["body","prompt"],"msg":"field required"}]'),
        ({"error_message": "", "message": "b"}, "b"),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_first_message_present_is_told(document: dict[str, object], text: str) -> None:
    assert answers.message(document) == text


def test_a_message_is_cut_at_2000_characters_and_holds_nothing_that_postgres_refuses() -> None:
    assert answers.message({"error": "x\0" * 3000}) == "x" * 1000 + "x" * 1000


@given(st.binary())
def test_no_bytes_make_reading_fail(body: bytes) -> None:
    document = answers.decoded(body)
    assert isinstance(document, dict)
    answers.message(document)
    answers.error_code(document)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["image", "images", "video", "videos", "error_code", "status", "detail"]), inner)))  # fmt: skip  # noqa: E501
def test_no_json_makes_reading_fail(value: object) -> None:
    media = answers.output(value)
    assert all(isinstance(url, str) and url for urls in media.values() for url in urls)
    if isinstance(value, dict):
        answers.message(value)
        answers.error_code(value)
        answers.word(value, "status")


@pytest.mark.parametrize(
    ("body", "cost"),
    [
        (b'{"cost": 0.015}', "0.015"),
        (b'{"cost": 2}', "2"),
        (b'{"cost": 0}', "0"),
        (b'{"cost": 0.0149999994}', "0.015"),
        (b'{"cost": -0.015}', None),
        (b'{"cost": "0.015"}', None),
        (b'{"cost": true}', None),
        (b'{"cost": null}', None),
        (b'{"cost": 1e9}', None),
        (b'{"cost": 1e999}', None),
        (b'{"cost": NaN}', None),
        (b'{"cost": Infinity}', None),
        (b'{"cost": [0.015]}', None),
        (b"{}", None),
    ],
)
def test_a_cost_is_a_number_that_can_be_a_price(body: bytes, cost: str | None) -> None:
    assert answers.cost(answers.decoded(body)) == (cost and Decimal(cost))


def test_what_stands_beside_a_number_that_is_no_json_is_read_all_the_same() -> None:
    assert answers.decoded(b'{"status": "succeeded", "cost": NaN}')["status"] == "succeeded"
