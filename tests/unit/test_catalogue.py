"""The catalogue: what flux-2 accepts and refuses, and that a second model is one more file."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import catalogue
from service.catalogue import InputWarning, Prepared, Refused, models
from service.catalogue.image_urls import https_image_url
from service.errors import Fault

VALID = {"prompt": "Make it rain", "image_urls": ["https://example.com/a.jpg"]}
DEFAULTS = {
    "guidance_scale": 2.5,
    "seed": 0,
    "num_inference_steps": 28,
    "image_size": "square_hd",
    "num_images": 1,
    "enable_prompt_expansion": False,
    "output_format": "png",
}
PRESETS = ["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]
PRESET_NAMES = ", ".join(f'"{preset}"' for preset in PRESETS)


def flux() -> catalogue.Model:
    model = catalogue.get(catalogue.DEFAULT_MODEL)
    assert model is not None
    return model


def prepared(**fields: object) -> Prepared:
    outcome = flux().prepare(VALID | fields)
    assert isinstance(outcome, Prepared), outcome
    return outcome


def refused(value: object) -> list[tuple[str, str]]:
    outcome = flux().prepare(value)
    assert isinstance(outcome, Refused)
    return [(fault.pointer, fault.message) for fault in outcome.faults]


def test_the_smallest_input_is_shown_with_all_defaults_in_the_order_of_the_schema() -> None:
    assert list(prepared().input.items()) == [*VALID.items(), *DEFAULTS.items()]


def test_what_is_given_is_passed_on_as_given() -> None:
    given_fields = {
        "guidance_scale": 7,
        "seed": -3,
        "num_inference_steps": 4,
        "image_size": {"width": 512, "height": 2048},
        "num_images": 4,
        "enable_prompt_expansion": True,
        "output_format": "webp",
    }
    outcome = prepared(**given_fields)
    assert outcome == Prepared(VALID | given_fields, ())
    assert isinstance(outcome.input["guidance_scale"], int)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", "x"),
        ("prompt", "雨" * 80_000),
        ("image_urls", ["https://example.com/" + "a" * 2028]),
        ("guidance_scale", 0),
        ("guidance_scale", 20.0),
        ("seed", 2**63 - 1),
        ("seed", -(2**63)),
        ("num_inference_steps", 4),
        ("num_inference_steps", 50),
        ("num_images", 1),
        ("num_images", 4),
        *(("image_size", preset) for preset in PRESETS),
        ("image_size", {"width": 512, "height": 512}),
        ("image_size", {"width": 2048, "height": 2048}),
        *(("output_format", word) for word in ("jpeg", "png", "webp")),
    ],
)
def test_the_bounds_themselves_are_accepted(name: str, value: object) -> None:
    assert prepared(**{name: value}).input[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("guidance_scale", -0.1),
        ("guidance_scale", 20.1),
        ("seed", 2**63),
        ("seed", -(2**63) - 1),
        ("num_inference_steps", 3),
        ("num_inference_steps", 51),
        ("num_images", 0),
        ("num_images", 5),
        ("output_format", "gif"),
        ("output_format", "PNG"),
        ("image_size", "4k"),
        ("image_urls", []),
        ("image_urls", ["https://example.com"] * 101),
        ("prompt", ""),
        ("prompt", " \n\t"),
    ],
)
def test_a_value_out_of_range_is_refused_at_its_field(name: str, value: object) -> None:
    assert [pointer for pointer, _ in refused(VALID | {name: value})] == [f"/input/{name}"]


WRONG_TYPES: dict[str, list[object]] = {
    "prompt": [1, None, True, ["x"], {}],
    "image_urls": ["https://example.com/a.jpg", None, 1, {}],
    "guidance_scale": ["2.5", None, True, [], {}],
    "seed": ["1", None, True, 1.0, 1.5, [], {}],
    "num_inference_steps": ["28", None, True, 28.0, 28.5, []],
    "image_size": [None, True, 1024, 1.5, [512, 512]],
    "num_images": ["1", None, True, 1.0, 1.5, []],
    "enable_prompt_expansion": ["true", None, 0, 1, []],
    "output_format": [None, True, 1, ["png"]],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in WRONG_TYPES for value in WRONG_TYPES[name]]
)
def test_a_wrong_type_is_refused_at_its_field(name: str, value: object) -> None:
    assert [pointer for pointer, _ in refused(VALID | {name: value})] == [f"/input/{name}"]


def test_every_field_is_among_those_tried() -> None:
    assert list(WRONG_TYPES) == list(flux().input.document["properties"]) == [*VALID, *DEFAULTS]


@pytest.mark.parametrize(
    ("size", "faults"),
    [
        ({}, [("/height", "is required"), ("/width", "is required")]),
        ({"width": 512}, [("/height", "is required")]),
        (
            {"width": 511, "height": 2049},
            [("/height", "must be at most 2048, not 2049"), ("/width", "must be at least 512, not 511")],
        ),
        ({"width": 512, "height": 512, "depth": 3}, [("/depth", "is not a known field")]),
        ({"width": "512", "height": 512}, [("/width", "must be an integer, not a string")]),
        (
            {"width": 512.0, "height": 512},
            [("/width", "must be an integer, not a number with a fraction or an exponent")],
        ),
        (
            "4k",
            [
                (
                    "",
                    f'must be one of {PRESET_NAMES}, or an object with "width" and "height", not "4k"',
                )
            ],
        ),
    ],
)
def test_a_bad_image_size_is_explained(size: object, faults: list[tuple[str, str]]) -> None:
    expected = [("/input/image_size" + pointer, message) for pointer, message in faults]
    assert refused(VALID | {"image_size": size}) == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/a.jpg", "must begin with https://"),
        ("ftp://example.com/a.jpg", "must begin with https://"),
        ("//example.com/a.jpg", "must begin with https://"),
        ("https:example.com", "must begin with https://"),
        ("", "must begin with https://"),
        (
            "DATA:image/png;base64,AAAA",
            "must be an https URL: data URIs are not accepted, the picture has to be on a public server",
        ),
        ("https://user:pw@example.com/a.jpg", "must not carry a user name or password"),
        ("https://@example.com/a.jpg", "must not carry a user name or password"),
        ("https:///a.jpg", "must name a host"),
        ("https://:443/a.jpg", "must name a host"),
        ("https://.", "must name a host"),
        ("https://[::1/a.jpg", "must have a readable host and port"),
        ("https://example.com:99999/", "must have a readable host and port"),
        ("https://example.com:0/", "must have a readable host and port"),
        ("https://example.com:x/", "must have a readable host and port"),
        *(
            (f"https://exa{character}mple.com/", "must not contain spaces, control characters or backslashes")
            for character in " \t\r\n\x7f\\\u00a0\u2028\u200b"
        ),
        (" https://example.com/", "must begin with https://"),
    ],
)
def test_what_is_no_public_https_url_is_refused_with_the_reason(url: str, reason: str) -> None:
    assert refused(VALID | {"image_urls": [url]}) == [("/input/image_urls/0", reason)]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "HTTPS://EXAMPLE.COM:8443/a%20b.jpg?x=1&y=a@b#top",
        "https://203.0.113.7/a.jpg",
        "https://[2001:db8::1]/a.jpg",
        "https://bücher.example/größe.png",
    ],
)
def test_a_public_https_url_is_accepted(url: str) -> None:
    assert prepared(image_urls=[url]).input["image_urls"] == [url]


def test_a_url_is_at_most_2048_characters_long() -> None:
    faults = refused(VALID | {"image_urls": ["https://example.com/" + "a" * 2029]})
    assert faults == [("/input/image_urls/0", "must be at most 2,048 characters, not 2,049")]


@given(st.text() | st.text().map("https://{}".format))
def test_no_text_breaks_the_reading_of_urls(text: str) -> None:
    reason = https_image_url(text)
    assert reason is None or reason.startswith("must ")


def test_of_more_than_three_images_the_first_three_are_used_with_a_warning() -> None:
    urls = [f"https://example.com/{number}.jpg" for number in range(5)]
    outcome = prepared(image_urls=urls)
    assert outcome.input["image_urls"] == urls[:3]
    assert outcome.warnings == (
        InputWarning("/input/image_urls", "only the first 3 of 5 are used, the rest were left out"),
    )
    assert prepared(image_urls=urls[:3]).warnings == ()


def test_an_image_that_will_not_be_used_must_be_right_all_the_same() -> None:
    urls = [*(["https://example.com/a.jpg"] * 3), "http://example.com/d.jpg"]
    assert refused(VALID | {"image_urls": urls}) == [("/input/image_urls/3", "must begin with https://")]


def test_what_the_caller_sent_is_not_changed() -> None:
    sent = {"prompt": "x", "image_urls": ["https://example.com/a.jpg"] * 5}
    before = json.dumps(sent)
    flux().prepare(sent)
    assert json.dumps(sent) == before


def test_all_faults_come_in_one_answer_in_the_same_order() -> None:
    bad = {
        "num_images": 9,
        "image_urls": ["http://example.com/a.jpg", 5],
        "sede": 1,
        "output_format": "gif",
        "seed": "1",
        "enable_prompt_expansion": "\0",
    }
    expected = [
        ("/input/enable_prompt_expansion", "must not contain the character U+0000"),
        ("/input/image_urls/0", "must begin with https://"),
        ("/input/image_urls/1", "must be a string, not an integer"),
        ("/input/num_images", "must be at most 4, not 9"),
        ("/input/output_format", 'must be one of "jpeg", "png", "webp", not "gif"'),
        ("/input/prompt", "is required"),
        ("/input/sede", "is not a known field"),
        ("/input/seed", "must be an integer, not a string"),
    ]
    assert refused(bad) == expected
    assert refused(dict(reversed(bad.items()))) == expected


def test_pointers_start_where_the_input_is() -> None:
    assert flux().prepare([]) == Refused((Fault("/input", "must be an object, not an array"),))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(WRONG_TYPES, ANY_JSON)) | ANY_JSON)
def test_any_json_is_prepared_or_refused_with_faults(value: object) -> None:
    match flux().prepare(value):
        case Refused(faults):
            assert faults
            assert all(fault.pointer.startswith("/input") for fault in faults)
        case Prepared(filled, _):
            assert list(filled) == list(WRONG_TYPES)


SIDE = st.integers(512, 2048)
VALID_INPUTS = st.fixed_dictionaries(
    {
        "prompt": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(
            "x{}".format
        ),
        "image_urls": st.lists(
            st.integers(0, 9).map("https://example.com/{}.png".format), min_size=1, max_size=5
        ),
    },
    optional={
        "guidance_scale": st.floats(0, 20) | st.integers(0, 20),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "num_inference_steps": st.integers(4, 50),
        "image_size": st.sampled_from(PRESETS) | st.fixed_dictionaries({"width": SIDE, "height": SIDE}),
        "num_images": st.integers(1, 4),
        "enable_prompt_expansion": st.booleans(),
        "output_format": st.sampled_from(["jpeg", "png", "webp"]),
    },
)


@given(VALID_INPUTS)
def test_a_valid_input_comes_back_with_its_defaults_and_is_then_settled(value: dict[str, Any]) -> None:
    outcome = prepared(**value)
    assert outcome.input == DEFAULTS | value | {"image_urls": value["image_urls"][:3]}
    assert bool(outcome.warnings) == (len(value["image_urls"]) > 3)
    assert flux().prepare(outcome.input) == Prepared(outcome.input, ())


def test_every_model_s_schemas_are_json_schema_and_speak_for_themselves() -> None:
    for model in catalogue.all_models():
        for document in (model.input.document, dict(model.output)):
            jsonschema_rs.meta.validate(document)
            assert json.loads(json.dumps(document)) == document
            for name, field in document["properties"].items():
                assert {"title", "description"} <= field.keys(), f"{model.id}: {name}"


def test_the_examples_and_defaults_of_the_schema_are_valid_themselves() -> None:
    for name, field in flux().input.document["properties"].items():
        for value in (*field.get("examples", []), *([field["default"]] if "default" in field else [])):
            assert prepared(**{name: value}).input[name] == value


@pytest.fixture
def folder_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files are models too, until the test is over."""
    before = set(sys.modules)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    catalogue.known.cache_clear()
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(f"{models.__name__}."):
            del sys.modules[name]
    catalogue.known.cache_clear()


SECOND_MODEL = """
from service.catalogue import Model
from service.schema import Schema

MODEL = Model(
    id="acme/upscale",
    display_name="Upscale",
    input=Schema({"type": "object", "properties": {"factor": {"type": "integer", "default": 2}}}),
)
"""


def test_a_second_model_is_one_new_file_and_nothing_else(folder_of_models: Path) -> None:
    assert catalogue.get("acme/upscale") is None
    catalogue.known.cache_clear()

    (folder_of_models / "acme_upscale.py").write_text(SECOND_MODEL)

    model = catalogue.get("acme/upscale")
    assert model is not None
    assert model.prepare({}) == Prepared({"factor": 2}, ())
    assert [model.id for model in catalogue.all_models()] == ["acme/upscale", catalogue.DEFAULT_MODEL]


def test_two_files_cannot_define_the_same_model(folder_of_models: Path) -> None:
    (folder_of_models / "one.py").write_text(SECOND_MODEL)
    (folder_of_models / "two.py").write_text(SECOND_MODEL)
    with pytest.raises(ValueError, match="two files define the model acme/upscale"):
        catalogue.known()


def test_a_file_that_defines_no_model_is_found_at_the_start(folder_of_models: Path) -> None:
    (folder_of_models / "broken.py").write_text("MODEL = 'acme/upscale'\n")
    with pytest.raises(TypeError, match="MODEL of broken is not a Model"):
        catalogue.known()


def test_an_unknown_model_is_not_found() -> None:
    assert catalogue.get("blackforestlabs/flux-2/dev") is None
    assert [model.id for model in catalogue.all_models()] == [catalogue.DEFAULT_MODEL]
