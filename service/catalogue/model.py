"""A model, and what becomes of an input on its way to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.errors import Fault
from service.schema import Schema

_ONE = {"type": "string", "format": "uri"}
_MANY = {"type": "array", "items": _ONE}

# RunComfy's documentation gives one output for all models: any of the four.
MEDIA_OUTPUT: dict[str, Any] = {
    "type": "object",
    "title": "Output",
    "description": "Where the results are. How long the URLs live is not promised: fetch them soon.",
    "properties": {
        "image": _ONE | {"title": "Image", "description": "URL of the one picture."},
        "video": _ONE | {"title": "Video", "description": "URL of the one video."},
        "images": _MANY | {"title": "Images", "description": "URLs of the pictures, in order."},
        "videos": _MANY | {"title": "Videos", "description": "URLs of the videos, in order."},
    },
}


@dataclass(frozen=True, slots=True)
class InputWarning:
    """Something the caller should know about an input that was accepted: where in the job, and what."""

    pointer: str
    message: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A valid input as it will be sent and shown: defaults filled in, what is not used left out."""

    input: dict[str, Any]
    warnings: tuple[InputWarning, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """An input that breaks the schema, with every fault."""

    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """`uses_first` is how many items of an array field the model uses when it is given more."""

    id: str
    display_name: str
    input: Schema
    output: Mapping[str, Any] = field(default_factory=lambda: MEDIA_OUTPUT)
    uses_first: Mapping[str, int] = field(default_factory=dict)
    base_price_usd: float | None = None
    price_unit: str | None = None

    def prepare(self, value: object) -> Prepared | Refused:
        """Pointers begin at the job that has it as its input."""
        faults = self.input.faults(value, at="/input")
        if faults or not isinstance(value, dict):
            return Refused(tuple(faults))
        prepared = self.input.filled(value)
        warnings = []
        for name, count in self.uses_first.items():
            given = len(prepared[name])
            if given > count:
                prepared[name] = prepared[name][:count]
                message = f"only the first {count} of {given} are used, the rest were left out"
                warnings.append(InputWarning(f"/input/{name}", message))
        return Prepared(prepared, tuple(warnings))
