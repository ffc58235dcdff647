"""The picture an input asks for, read as loosely as the upstream reads: what is odd becomes the default."""

from dataclasses import dataclass
from typing import Any

PRESETS = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
FORMATS = ("png", "jpeg", "webp")
SMALLEST, LARGEST = 64, 2048


@dataclass(frozen=True, slots=True)
class Edit:
    prompt: str
    image_url: str
    size: tuple[int, int]
    count: int
    format: str
    seed: int


def asked(body: dict[str, Any]) -> Edit:
    """The edit a submit's body asks for; `prompt` and `image_urls` were checked when it was taken."""
    output_format = body.get("output_format")
    return Edit(
        prompt=body["prompt"],
        image_url=body["image_urls"][0],
        size=_size(body.get("image_size")),
        count=_clamped(body.get("num_images"), 1, 4, default=1),
        format=output_format if output_format in FORMATS else FORMATS[0],
        seed=_clamped(body.get("seed"), -(2**63), 2**63, default=0),
    )


def _size(value: object) -> tuple[int, int]:
    if isinstance(value, dict):
        width = _clamped(value.get("width"), SMALLEST, LARGEST, default=1024)
        return width, _clamped(value.get("height"), SMALLEST, LARGEST, default=1024)
    return PRESETS.get(value, PRESETS["square_hd"]) if isinstance(value, str) else PRESETS["square_hd"]


def _clamped(value: object, low: int, high: int, *, default: int) -> int:
    return min(max(value, low), high) if isinstance(value, int) else default
