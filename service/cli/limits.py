"""A tenant's limits as options of commands. What they are if nothing is said is the tables' to know."""

from typing import Annotated, Any

import typer

MOST = 2**31 - 1
"""What a column of Postgres holds."""


def _limit(text: str, *, least: int = 0, most: int = MOST) -> Any:
    return typer.Option(min=least, max=most, help=text)


MaxInFlight = Annotated[int | None, _limit("Most jobs it may have upstream at once.")]
MaxQueued = Annotated[int | None, _limit("Most jobs that may wait here.")]
RequestsPerSecond = Annotated[int | None, _limit("Requests of all its keys.", least=1)]
MaxEndpoints = Annotated[int | None, _limit("Most webhook endpoints, live and test each.")]
MaxKeys = Annotated[int | None, _limit("Most live keys.")]
Weight = Annotated[int | None, _limit("Its share when many wait, beside the others'.", least=1, most=1000)]
