"""The rows of lanes as a claim leaves them.

Nothing changes them without the lock of the claims but what asks for something again, which only ever makes a
lane ready: so a line is only left alone if the row still says what the claim has seen.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from service.database import AnyConnection
from service.webhooks.lanes import After

_ARRAYS = "unnest(CAST(:tenants AS uuid[]), CAST(:origins AS text[])"
_EXPECT = text(
    f"""
    INSERT INTO webhook_lanes AS lane (tenant_id, origin, ready_at, served_at)
    SELECT * FROM {_ARRAYS}, CAST(:ready AS timestamptz[]), CAST(:served AS timestamptz[]))
    ON CONFLICT (tenant_id, origin) DO UPDATE
    SET ready_at = excluded.ready_at, served_at = coalesce(excluded.served_at, lane.served_at)
    """
)
_SEEN = "lane.ready_at IS NOT DISTINCT FROM seen.ready_at"
_EXPECT_NOBODY = text(
    f"""
    UPDATE webhook_lanes AS lane SET ready_at = NULL, served_at = coalesce(seen.served_at, lane.served_at)
    FROM {_ARRAYS}, CAST(:ready AS timestamptz[]), CAST(:served AS timestamptz[]))
         AS seen (tenant_id, origin, ready_at, served_at)
    WHERE lane.tenant_id = seen.tenant_id AND lane.origin = seen.origin AND {_SEEN}
    """
)
_FORGET = text(
    f"""
    DELETE FROM webhook_lanes AS lane
    USING {_ARRAYS}, CAST(:ready AS timestamptz[])) AS seen (tenant_id, origin, ready_at)
    WHERE lane.tenant_id = seen.tenant_id AND lane.origin = seen.origin AND {_SEEN}
    """
)


async def leave(connection: AnyConnection, lanes: Sequence[After], *, at: datetime) -> None:
    """Write how it stands with the lanes after the claim; of one with which all is well nothing is kept."""
    expecting = [one for one in lanes if one.ready_at is not None]
    nobody = [one for one in lanes if one.ready_at is None and one.lane and not one.lane.is_well]
    well = [one for one in lanes if one.ready_at is None and one.lane and one.lane.is_well]
    if expecting:
        ready = [one.ready_at for one in expecting]
        await connection.execute(_EXPECT, _keys(expecting) | {"ready": ready} | _served(expecting, at))
    if nobody:
        await connection.execute(_EXPECT_NOBODY, _keys(nobody) | _seen(nobody) | _served(nobody, at))
    if well:
        await connection.execute(_FORGET, _keys(well) | _seen(well))


def _keys(lanes: Sequence[After]) -> dict[str, Any]:
    return {"tenants": [one.key[0] for one in lanes], "origins": [one.key[1] for one in lanes]}


def _seen(lanes: Sequence[After]) -> dict[str, Any]:
    return {"ready": [one.lane.ready_at if one.lane else None for one in lanes]}


def _served(lanes: Sequence[After], at: datetime) -> dict[str, Any]:
    return {"served": [at if one.served else None for one in lanes]}
