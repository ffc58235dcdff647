"""The batch in the API's own description."""

from typing import Any

from service.api.batch import ENVELOPE, KEY, MOST_JOBS
from service.api.describing import answer, call, record, ref
from service.jobs.idempotency import LONGEST_KEY


def paths() -> dict[str, Any]:
    """All paths."""
    return {
        "/v1/jobs/batch": {
            "post": call(
                f"Accept up to {MOST_JOBS} jobs, each with an answer of its own",
                {"207": answer("What became of each item, in their order.", "BatchResults")},
                refused=(400, 413, 415, 422),
                body="Batch",
            )
        }
    }


def schemas(request: dict[str, Any]) -> dict[str, Any]:
    """What the paths refer to; `request` is how a request for a job is described."""
    document = ENVELOPE.document
    jobs = document["properties"]["jobs"] | {"items": ref("BatchItem")}
    properties = request["properties"] | {KEY: _KEY}
    accepted = record(status={"enum": [200, 202]}, job=ref("Job"))
    refused = record(status={"type": "integer", "minimum": 400, "maximum": 599}, problem=ref("Problem"))
    return {
        "Batch": document | {"properties": {"jobs": jobs}},
        "BatchItem": request | {"title": "Request for a job of a batch", "properties": properties},
        "BatchResults": record(
            results={
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_JOBS,
                "items": {"oneOf": [accepted, refused]},
            }
        ),
    }


_KEY = {
    "type": "string",
    "description": "As the header Idempotency-Key: the same request again with the same key, for a day, in a"
    " batch or by itself, makes no second job.",
    "pattern": f"^[\\x21-\\x7e]{{1,{LONGEST_KEY}}}$",
    "examples": ["order-17"],
}
