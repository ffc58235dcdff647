"""The histograms of run times, as all workers have seen them together."""

from collections.abc import Mapping

from sqlalchemy import text

from service.database import Connection
from service.jobs.run_times import MEMORY

Weights = dict[str, dict[int, float]]
"""Of each model, what is counted in each bucket."""

# What was counted before fades with each end that comes, whoever saw it.
_MERGE = text(
    """
    WITH seen AS (
        SELECT * FROM unnest(CAST(:models AS text[]), CAST(:buckets AS int[]), CAST(:weights AS float8[]))
                      AS seen (model, bucket, weight)
    ), kept AS (
        SELECT model, exp(-sum(weight) / CAST(:memory AS float8)) AS share FROM seen GROUP BY model
    ), faded AS (
        UPDATE run_times SET weight = run_times.weight * kept.share FROM kept
        WHERE run_times.model = kept.model
          AND NOT EXISTS (SELECT FROM seen
                          WHERE seen.model = run_times.model AND seen.bucket = run_times.bucket)
    )
    INSERT INTO run_times (model, bucket, weight)
    SELECT model, bucket, weight FROM seen ORDER BY model, bucket
    ON CONFLICT (model, bucket) DO UPDATE
    SET weight = excluded.weight
               + run_times.weight * (SELECT share FROM kept WHERE kept.model = excluded.model)
    """
)
_READ = text("SELECT model, bucket, weight FROM run_times")


async def merge(connection: Connection, seen: Mapping[str, Mapping[int, float]]) -> None:
    """Count what was seen here; what all have seen before fades accordingly."""
    rows = [(model, bucket, weight) for model in seen for bucket, weight in seen[model].items()]
    given = {
        "models": [model for model, _, _ in rows],
        "buckets": [bucket for _, bucket, _ in rows],
        "weights": [weight for _, _, weight in rows],
        "memory": MEMORY,
    }
    await connection.execute(_MERGE, given)


async def read(connection: Connection) -> Weights:
    """All of it: a few dozen rows for each model."""
    found: Weights = {}
    for model, bucket, weight in await connection.execute(_READ):
        found.setdefault(model, {})[bucket] = weight
    return found
