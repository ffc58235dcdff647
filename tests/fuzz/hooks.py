"""What generated requests need to mean something: ids of things that are there, keys that are new.

Only what fits its schema is changed; what is wrong on purpose stays as it is.
"""

import os
from itertools import cycle
from typing import Any
from uuid import uuid4

import schemathesis
from schemathesis.core import NotSet
from schemathesis.generation.meta import TestPhase

JOBS = cycle(os.environ["FUZZ_JOBS"].split(","))
TURNS = cycle((True, True, True, False))
KEPT = frozenset(os.environ["FUZZ_KEPT"].split(","))
"""The tenant and the keys that the run itself lives on."""


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Nothing that ends the run: revoking its own key, disabling its own tenant. Nor what is wrong by having
    no body where there need not be one, and nothing else that could be wrong.
    """
    is_wrong = case.meta is not None and not case.meta.generation.mode.is_positive
    needs_none = [body for body in case.operation.body if not body.is_required]
    if is_wrong and needs_none and isinstance(case.body, NotSet) and not (case.path_parameters or case.query):
        return False
    return not KEPT.intersection(map(str, (case.path_parameters or {}).values()))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Most jobs asked for exist, the same key does not come with another body, 4.0 is written as 4."""
    if case.meta is not None and not case.meta.generation.mode.is_positive:
        return
    in_sequence = case.meta is not None and case.meta.phase.name is TestPhase.STATEFUL
    for name in {"job_id", "request_id"}.intersection(case.path_parameters or {}):
        if not in_sequence and next(TURNS):
            case.path_parameters[name] = next(JOBS)
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = str(uuid4())
    case.body = whole(case.body)


def whole(body: Any) -> Any:
    """What JSON Schema calls an integer the service wants to be written as one, and says so."""
    match body:
        case dict():
            return {name: whole(member) for name, member in body.items()}
        case list():
            return [whole(member) for member in body]
        case float() if body.is_integer():
            return int(body)
        case _:
            return body
