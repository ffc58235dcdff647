"""A tenant's limits as options of commands."""

from typing import Annotated

import typer

MOST = 2**31 - 1
"""What a column of Postgres holds."""

MaxInFlight = Annotated[
    int | None,
    typer.Option(min=0, max=MOST, help="Most jobs it may have upstream at once.", show_default="1000"),
]
MaxQueued = Annotated[
    int | None, typer.Option(min=0, max=MOST, help="Most jobs that may wait here.", show_default="100000")
]
RequestsPerSecond = Annotated[
    int | None, typer.Option(min=1, max=MOST, help="Requests of all its keys.", show_default="1000")
]
MaxEndpoints = Annotated[
    int | None, typer.Option(min=0, max=MOST, help="Most webhook endpoints.", show_default="20")
]
MaxKeys = Annotated[int | None, typer.Option(min=0, max=MOST, help="Most live keys.", show_default="100")]
Weight = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Its share when many wait, beside the others'.", show_default="1"),
]
