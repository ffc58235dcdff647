"""Usage in the API's own description."""

from typing import Any

from service.api.describing import COUNT, TEXT, answer, call, list_of, record
from service.api.usage import DESCRIBED
from service.jobs.store.usage import BYS
from service.jobs.usage import OUTCOMES


def paths() -> dict[str, Any]:
    """All paths."""
    return {
        "/v1/usage": {
            "get": call(
                "Show what was used: jobs by outcome, cost, uncertain charges",
                {"200": answer("What ended on these days, by day or by model, and in all.", "Usage")},
                parameters=DESCRIBED,
            )
        }
    }


def schemas() -> dict[str, Any]:
    """What the paths refer to."""
    by_day, by_model = record(day=_DAY, **_SUMS), record(model=TEXT, **_SUMS)
    return {
        "Usage": record(
            **{"from": _DAY, "to": _DAY},
            by={"enum": list(BYS)},
            data=list_of({"oneOf": [by_day, by_model]}),
            total=record(**_SUMS),
        )
    }


_DAY = {"type": "string", "format": "date", "examples": ["2026-01-31"]}
_SUMS = {
    "jobs": record(**{str(status): COUNT for status in OUTCOMES}),
    "cost_usd": {"type": "number", "minimum": 0, "description": "As far as the upstream has told it."},
    "uncertain_charges": COUNT
    | {"description": "Of these jobs, those that may have been charged without anybody knowing how much."},
}
