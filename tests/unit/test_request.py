"""What stands around an input: what is filled in, and what is said of what is wrong."""

from ipaddress import ip_network
from typing import Any

import jsonschema_rs
import pytest

from service.errors import InvalidInputError
from service.jobs.envelope import Envelope
from service.jobs.lifecycle import TOLD_EVENTS
from service.jobs.request import Request

INPUT: dict[str, Any] = {"prompt": "make it night", "image_urls": ["https://pictures.example/lake.png"]}
ENVELOPE = Envelope(allowed_networks=(), default_expires_in=600)


def refused(body: object, *, envelope: Envelope = ENVELOPE) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInputError) as raised:
        envelope.read(body)
    return [(fault.pointer, fault.message) for fault in raised.value.faults]


def test_only_the_input_is_required_and_the_rest_is_filled_in() -> None:
    request = ENVELOPE.read({"input": INPUT})

    assert request == Request(
        model="blackforestlabs/flux-2/dev/edit",
        input=request.input,
        warnings=[],
        callback_url=None,
        callback_events=["job.completed", "job.failed", "job.cancelled", "job.expired"],
        external_id=None,
        metadata={},
        priority="normal",
        expires_in=600,
        on_unconfirmed="fail",
    )
    assert request.input["num_images"] == 1


def test_null_means_none_where_the_job_shows_null() -> None:
    request = ENVELOPE.read({"input": INPUT, "callback_url": None, "external_id": None})
    assert (request.callback_url, request.external_id) == (None, None)
    assert refused({"input": INPUT, "metadata": None, "expires_in": None}) == [
        ("/expires_in", "must be an integer, not null"),
        ("/metadata", "must be an object, not null"),
    ]


def test_every_event_that_can_be_told_can_be_asked_for() -> None:
    asked = list(reversed(TOLD_EVENTS))
    assert ENVELOPE.read({"input": INPUT, "callback_events": asked}).callback_events == asked


def test_bounds_are_inclusive() -> None:
    largest = {
        "external_id": "a" * 255,
        "metadata": {f"{n:064}": "b" * 512 for n in range(16)},
        "expires_in": 604_800,
    }
    request = ENVELOPE.read({"input": INPUT, **largest})
    assert (request.external_id, request.metadata, request.expires_in) == tuple(largest.values())
    assert ENVELOPE.read({"input": INPUT, "external_id": "a", "expires_in": 10}).expires_in == 10


def test_warnings_of_the_model_come_with_the_request() -> None:
    request = ENVELOPE.read({"input": INPUT | {"image_urls": INPUT["image_urls"] * 4}})
    assert request.warnings == [
        {
            "pointer": "/input/image_urls",
            "message": "only the first 3 of 4 are used, the rest were left out",
        }
    ]


def test_a_fault_of_the_input_is_told_once() -> None:
    assert refused({"input": INPUT | {"prompt": "a\0"}}) == [
        ("/input/prompt", "must not contain the character U+0000")
    ]


def test_an_unknown_model_leaves_the_input_unjudged() -> None:
    assert refused({"model": "acme/paint", "input": {"paint": 1}, "priority": 1}) == [
        ("/model", 'must be one of "blackforestlabs/flux-2/dev/edit", not "acme/paint"'),
        ("/priority", 'must be one of "low", "normal", "high", not 1'),
    ]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://localhost/", "the host is an internal name"),
        ("https://10.0.0.1/", "the address is private"),
        ("https://[::1]/", "the address is loopback"),
        ("https://hooks.example:9000/", "only the ports 443 and 8443 are allowed"),
        ("http://hooks.example/", "only https is allowed"),
        ("https://user@hooks.example/", "the URL has a user name or password"),
        ("ftp://hooks.example/", "this is not an https URL with a host"),
    ],
)
def test_a_callback_url_that_may_not_be_called_is_refused_with_the_reason(url: str, reason: str) -> None:
    assert refused({"input": INPUT, "callback_url": url}) == [
        ("/callback_url", f"cannot be called: {reason}")
    ]


def test_a_long_callback_url_is_refused() -> None:
    faults = refused({"input": INPUT, "callback_url": "https://hooks.example/" + "a" * 2048})
    assert {pointer for pointer, _ in faults} == {"/callback_url"}


def test_allowed_networks_open_callback_urls_in_them() -> None:
    inside = Envelope(allowed_networks=[ip_network("10.0.0.0/8")], default_expires_in=600)
    url = "http://10.0.0.1:9000/hook"

    assert inside.read({"input": INPUT, "callback_url": url}).callback_url == url
    assert refused({"input": INPUT, "callback_url": "http://192.168.0.1/"}, envelope=inside)


def test_the_detail_names_the_first_fault_and_how_many_there_are() -> None:
    with pytest.raises(InvalidInputError) as one:
        ENVELOPE.read({})
    with pytest.raises(InvalidInputError) as whole:
        ENVELOPE.read([])
    with pytest.raises(InvalidInputError) as several:
        ENVELOPE.read({"input": {}})

    assert one.value.detail == "/input is required."
    assert whole.value.detail == "The body must be an object, not an array."
    assert several.value.detail == "/input/image_urls is required; 2 faults in all."


def test_the_document_is_a_schema_whose_defaults_and_examples_are_valid() -> None:
    document = ENVELOPE.schema.document
    jsonschema_rs.meta.validate(document)
    for name, field in document["properties"].items():
        for value in [*field.get("examples", []), *([field["default"]] if "default" in field else [])]:
            assert not ENVELOPE.schema.faults({"input": {}, name: value}), name
