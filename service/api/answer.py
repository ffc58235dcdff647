"""An answer in JSON."""

from collections.abc import Mapping

import msgspec
from litestar.response.base import ASGIResponse


class Answer(ASGIResponse):
    """What a handler returns."""

    def __init__(self, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(body=msgspec.json.encode(value), status_code=status, headers=dict(headers or {}))
