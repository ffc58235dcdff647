"""A schema tells every fault, where it is, in words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Fault
from service.schema import MOST_FAULTS, NOT_BLANK, Schema
from service.schema.storable import DEEPEST, MOST_VALUES, UnreadableError, is_storable, unstorable


def faults_of(field: dict[str, Any], value: object) -> list[tuple[str, str]]:
    """Of an object whose one field `a` has this schema."""
    schema = Schema({"type": "object", "properties": {"a": field}})
    return [(fault.pointer, fault.message) for fault in schema.faults({"a": value})]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ({"type": "string"}, 1, "must be a string, not an integer"),
        ({"type": "string"}, None, "must be a string, not null"),
        ({"type": "boolean"}, "true", "must be true or false, not a string"),
        ({"type": "boolean"}, 1, "must be true or false, not an integer"),
        ({"type": "number"}, True, "must be a number, not a boolean"),
        ({"type": "array"}, {}, "must be an array, not an object"),
        ({"type": "object"}, [], "must be an object, not an array"),
        ({"type": "null"}, 1.5, "must be null, not a number"),
        ({"type": ["string", "null"]}, 1, "must be null or a string, not an integer"),
        ({"type": "integer"}, "4", "must be an integer, not a string"),
        ({"type": "integer"}, True, "must be an integer, not a boolean"),
        ({"type": "integer"}, 4.0, "must be an integer, not a number with a fraction or an exponent"),
        ({"type": "integer"}, 4.5, "must be an integer, not a number with a fraction or an exponent"),
        ({"type": "integer"}, 1e300, "must be an integer, not a number with a fraction or an exponent"),
        (
            {"type": ["integer", "null"]},
            4.0,
            "must be an integer, not a number with a fraction or an exponent",
        ),
        ({"minimum": 4}, 3, "must be at least 4, not 3"),
        ({"maximum": 20}, 20.5, "must be at most 20, not 20.5"),
        ({"minLength": 1}, "", "must be at least 1 character, not 0"),
        ({"maxLength": 2048}, "x" * 3000, "must be at most 2,048 characters, not 3,000"),
        ({"minItems": 1}, [], "must have at least 1 item, not 0"),
        ({"maxItems": 2}, [1, 2, 3], "must have at most 2 items, not 3"),
        ({"minProperties": 1}, {}, "must have at least 1 field, not 0"),
        ({"maxProperties": 1}, {"b": 1, "c": 2}, "must have at most 1 field, not 2"),
        ({"uniqueItems": True}, ["x", "x"], "must not hold the same item twice"),
        ({"pattern": NOT_BLANK}, " \n", "must not be blank"),
        ({"pattern": "^a"}, "b", "must match ^a"),
        ({"const": "a"}, "b", 'must be "a", not "b"'),
        ({"multipleOf": 8}, 9, "breaks the rule multipleOf"),
        ({"type": "string", "format": "date-time"}, "noon", "must be a valid date-time"),
        ({"type": "string", "enum": ["a", "b"]}, "c", 'must be one of "a", "b", not "c"'),
        ({"type": "string", "enum": ["a", "b"]}, 1, 'must be one of "a", "b", not 1'),
        ({"enum": ["a"]}, "x" * 9999, 'must be one of "a", not a text of 9,999 characters'),
    ],
)
def test_a_fault_names_the_limit_and_what_was_got(field: dict[str, Any], value: object, message: str) -> None:
    assert faults_of(field, value) == [("/a", message)]


def test_a_missing_field_is_pointed_at_itself() -> None:
    schema = Schema({"type": "object", "required": ["b", "a"]})
    assert schema.faults({}, at="/input") == [
        Fault("/input/a", "is required"),
        Fault("/input/b", "is required"),
    ]


def test_an_unknown_field_is_pointed_at_itself_with_slash_and_tilde_escaped() -> None:
    schema = Schema({"type": "object", "additionalProperties": False})
    assert schema.faults({"a/b~c": 1}) == [Fault("/a~1b~0c", "is not a known field")]


def test_the_name_of_an_unknown_field_is_not_echoed_at_length() -> None:
    (fault,) = Schema({"type": "object", "additionalProperties": False}).faults({"k" * 100_000: 1})
    assert fault == Fault("/" + "k" * 128 + "…", "is not a known field")


def test_a_rule_for_names_points_at_the_name() -> None:
    field = {"type": "object", "propertyNames": {"maxLength": 3}}
    assert faults_of(field, {"long": 1}) == [
        ("/a/long", "the name must be at most 3 characters, not 4"),
    ]


def test_the_order_is_that_of_the_pointers_however_the_body_was_written() -> None:
    schema = Schema(
        {
            "type": "object",
            "required": ["z", "c"],
            "additionalProperties": False,
            "properties": {"z": {"type": "string"}, "a": {"items": {"type": "integer"}}},
        }
    )
    one = schema.faults({"z": 1, "a": ["x"] * 11, "b": "\0"})
    other = schema.faults({"b": "\0", "a": ["x"] * 11, "z": 1})
    assert one == other
    pointers = [fault.pointer for fault in one]
    # A text that cannot be kept is told as that; a number is not sorted as a text.
    assert pointers == [*(f"/a/{index}" for index in range(11)), "/b", "/c", "/z"]


@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
def test_of_alternatives_the_one_that_was_meant_is_judged(word: str) -> None:
    size = {"type": "integer", "minimum": 512}
    field = {
        word: [
            {"type": "string", "enum": ["big", "small"]},
            {"type": "object", "required": ["width", "height"], "properties": {"width": size}},
        ]
    }
    assert faults_of(field, {"width": 2}) == [
        ("/a/height", "is required"),
        ("/a/width", "must be at least 512, not 2"),
    ]
    every = 'must be one of "big", "small", or an object with "width" and "height", not '
    assert faults_of(field, "tiny") == [("/a", every + '"tiny"')]
    assert faults_of(field, 7) == [("/a", every + "7")]
    assert faults_of(field, None) == [("/a", every + "null")]
    assert faults_of({word: [{"type": "string"}, {"type": "null"}]}, 1) == [
        ("/a", "must be a string, or null, not 1")
    ]


def test_a_format_says_why() -> None:
    schema = Schema(
        {"items": {"type": "string", "format": "even"}},
        formats={"even": lambda text: None if len(text) % 2 == 0 else "is odd"},
    )
    assert schema.faults(["ab", "abc", 1]) == [
        Fault("/1", "is odd"),
        Fault("/2", "must be a string, not an integer"),
    ]


@pytest.mark.parametrize(
    ("value", "pointer", "message"),
    [
        ("a\0", "", "must not contain the character U+0000"),
        ({"x": ["a", "b\0"]}, "/x/1", "must not contain the character U+0000"),
        ({"x\0": 1}, "/x\0", "must not have the character U+0000 in its name"),
        ({"x": 2**63}, "/x", "must be an integer of at most 64 bits"),
        ({"x": -(2**63) - 1}, "/x", "must be an integer of at most 64 bits"),
        ({"x": 10**5000}, "/x", "must be an integer of at most 64 bits"),
        ("\ud800", "", "must be valid Unicode: half of a surrogate pair is missing"),
        ({"\ud800": 1}, "/?", "must be valid Unicode: half of a surrogate pair is missing"),
        ([[0] * 5_000] * 3, "", "must hold at most 10,000 values"),
    ],
)
def test_what_cannot_be_kept_is_refused_whatever_the_schema_says(
    value: object, pointer: str, message: str
) -> None:
    assert Schema({}).faults(value) == [Fault(pointer, message)]


def test_the_widest_integers_are_kept() -> None:
    assert Schema({}).faults([2**63 - 1, -(2**63)]) == []


def test_nesting_has_an_end() -> None:
    deep: object = 1
    for _ in range(500):
        deep = [deep]
    assert Schema({}).faults({"x": deep}) == [Fault("/x", "must not be nested deeper than 32 levels")]


def test_thousands_of_faults_are_told_as_a_number() -> None:
    faults = Schema({"items": {"type": "string"}}).faults([1] * 5000, at="/input")
    assert len(faults) == MOST_FAULTS + 1
    assert faults[-1] == Fault("/input", "has 4,900 more faults")


def test_defaults_are_filled_in_in_the_order_of_the_schema() -> None:
    schema = Schema(
        {"properties": {"a": {}, "b": {"default": [1]}, "c": {"default": False}, "d": {"default": 2}}}
    )
    filled = schema.filled({"x": 0, "d": None, "a": 1})
    assert list(filled.items()) == [("a", 1), ("b", [1]), ("c", False), ("d", None), ("x", 0)]


def test_a_default_is_not_shared_between_two_fillings() -> None:
    schema = Schema({"properties": {"b": {"default": [1]}}})
    schema.filled({})["b"].append(2)
    assert schema.filled({}) == {"b": [1]}


def test_the_document_stays_as_it_was_written() -> None:
    written = {"type": "object", "properties": {"a": {"type": "integer"}}}
    schema = Schema(json.loads(json.dumps(written)))
    assert schema.document == written


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(ANY_JSON, ANY_JSON)
def test_no_json_value_raises(one: object, other: object) -> None:
    schema = Schema(
        {
            "type": "object",
            "required": ["a"],
            "maxProperties": 1,
            "properties": {
                "a": {"anyOf": [{"type": "integer", "maximum": 5}, {"type": "array", "minItems": 1}]},
                "b": {"type": "string", "maxLength": 2},
            },
            "additionalProperties": False,
        }
    )
    for fault in (*schema.faults(one), *schema.faults({"a": one, "b": other})):
        assert json.dumps(fault.pointer)
        assert len(fault.message) < 200


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
    | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
)


def agree(value: object) -> bool:
    """Whether the quick judgement and the one at length come to the same."""
    try:
        return is_storable(value) == (not unstorable(value))
    except UnreadableError:
        return not is_storable(value)


@given(ANY_JSON)
def test_what_can_be_kept_is_judged_alike_at_once_and_at_length(value: object) -> None:
    assert agree(value)


def test_the_bounds_are_the_same_at_once_and_at_length() -> None:
    deepest: object = 1
    for _ in range(DEEPEST):
        deepest = [deepest]
    values = [[0] * (MOST_VALUES - 1), [0] * MOST_VALUES, deepest, [deepest], {"\ud800": 1}, {"\0": 1}]
    assert [is_storable(value) for value in values] == [True, False, True, False, False, False]
    assert all(agree(value) for value in values)
