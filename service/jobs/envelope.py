"""What is around an input in a request for a job: checked, filled in, and documented by one JSON Schema.

The input itself is checked by its model; the caller hears of the faults of both at once.
"""

from collections.abc import Sequence
from typing import Any

from service import catalogue
from service.catalogue import DEFAULT_MODEL, Prepared, Refused
from service.errors import InvalidInputError
from service.jobs.lifecycle import END_EVENTS, TOLD_EVENTS
from service.jobs.models import ON_UNCONFIRMED, PRIORITIES
from service.jobs.request import Request
from service.schema import Schema
from service.webhooks.addresses import MAX_URL_LENGTH, IPNetwork, url_fault, usual_form

SHORTEST_LIFE, LONGEST_LIFE = 10, 604_800
"""Seconds that `expires_in` can be."""


class Envelope:
    """Reads requests; `schema` is what it holds them against."""

    def __init__(self, *, allowed_networks: Sequence[IPNetwork], default_expires_in: int) -> None:
        """`allowed_networks` are the private ones that a `callback_url` may be in."""
        document = _document(
            sorted(catalogue.known()), default_expires_in, url_pattern=usual_form(allowed_networks)
        )
        self.schema = Schema(document, formats={"callback-url": url_fault(allowed_networks)})

    def read(self, body: object) -> Request:
        """The request in a decoded body; raises InvalidInputError with every fault of it."""
        faults = self.schema.faults(body)
        prepared = _prepared(body)
        if isinstance(prepared, Refused):
            faults += prepared.faults
        if faults or not isinstance(body, dict) or not isinstance(prepared, Prepared):
            raise InvalidInputError.of(faults)
        given = self.schema.filled(body)
        return Request(
            model=given["model"],
            input=prepared.input,
            warnings=[{"pointer": said.pointer, "message": said.message} for said in prepared.warnings],
            callback_url=given["callback_url"],
            callback_events=given["callback_events"],
            external_id=given["external_id"],
            metadata=given["metadata"],
            priority=given["priority"],
            expires_in=given["expires_in"],
            on_unconfirmed=given["on_unconfirmed"],
        )


def _prepared(body: object) -> Prepared | Refused | None:
    """None where there is no input to speak of, or no model that could judge it."""
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
        return None
    model_id = body.get("model", DEFAULT_MODEL)
    model = catalogue.get(model_id) if isinstance(model_id, str) else None
    return model.prepare(body["input"]) if model else None


def _document(models: list[str], default_expires_in: int, *, url_pattern: str) -> dict[str, Any]:
    return {
        "type": "object",
        "title": "Request for a job",
        "required": ["input"],
        "additionalProperties": False,
        "properties": {
            "model": {
                "type": "string",
                "description": "The id of a model of the catalogue.",
                "enum": models,
                "default": DEFAULT_MODEL,
            },
            "input": {"type": "object", "description": "What the model is given; its own schema applies."},
            "callback_url": {
                "type": ["string", "null"],
                "description": "Where signed webhooks about this job are sent.",
                "format": "callback-url",
                "$comment": "An address, or a name in Unicode, may pass too.",
                "pattern": url_pattern,
                "maxLength": MAX_URL_LENGTH,
                "default": None,
                "examples": ["https://example.com/hooks/edits"],
            },
            "callback_events": {
                "type": "array",
                "description": "What `callback_url` is told; how the job ended, if nothing is said.",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"type": "string", "enum": list(TOLD_EVENTS)},
                "default": list(END_EVENTS),
            },
            "external_id": {
                "type": ["string", "null"],
                "description": "The caller's own name for the job; it need not be unique.",
                "minLength": 1,
                "maxLength": 255,
                "default": None,
                "examples": ["order-17"],
            },
            "metadata": {
                "type": "object",
                "description": "Pairs of texts that are kept with the job and shown on it.",
                "maxProperties": 16,
                "propertyNames": {"type": "string", "minLength": 1, "maxLength": 64},
                "additionalProperties": {"type": "string", "maxLength": 512},
                "default": {},
                "examples": [{"team": "ads"}],
            },
            "priority": {
                "type": "string",
                "description": "Which of the tenant's own waiting jobs go first.",
                "enum": list(PRIORITIES),
                "default": "normal",
            },
            "expires_in": {
                "type": "integer",
                "description": "Seconds after which the job is `expired` if it has not ended by then.",
                "minimum": SHORTEST_LIFE,
                "maximum": LONGEST_LIFE,
                "default": default_expires_in,
            },
            "on_unconfirmed": {
                "type": "string",
                "description": "What to do when nobody knows whether the upstream took the job: `fail`, or"
                " `resubmit`, which may be charged twice.",
                "enum": list(ON_UNCONFIRMED),
                "default": "fail",
            },
        },
    }
