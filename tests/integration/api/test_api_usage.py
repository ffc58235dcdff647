"""GET /v1/usage: jobs by outcome, what they cost, and which charges are uncertain."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import jsonschema_rs
import pytest
from litestar import Litestar
from sqlalchemy import text

from service.api.usage import period
from service.database import Database
from service.errors import BadRequestError
from service.jobs.job import Job
from service.jobs.lifecycle import ENDS, Status
from service.jobs.store import usage
from service.tenants.tenant import Tenant

FLUX = "blackforestlabs/flux-2/dev/edit"
Storing = Callable[..., Awaitable[None]]
NewKey = Callable[..., Awaitable[str]]
NONE = {"completed": 0, "failed": 0, "cancelled": 0, "expired": 0}


@pytest.fixture
def storing(database: Database, accepted: Callable[..., Awaitable[Job]]) -> Storing:
    """Stores a job that ended; `sets` are columns of its row that differ."""

    async def store(status: Status, at: str, *, owner: Tenant | None = None, **sets: object) -> None:
        job = await accepted(**({"owner": owner} if owner else {}))
        usual: dict[str, object] = {"status": status, "finished_at": datetime.fromisoformat(at)}
        if status is Status.COMPLETED:
            usual |= {"output": "{}"}
        if status in (Status.FAILED, Status.EXPIRED):
            usual |= {"error": "{}"}
        values = usual | sets
        columns = ", ".join(f"{name} = :{name}" for name in values)
        async with database.statement() as connection:
            await connection.execute(
                text(f"UPDATE jobs SET {columns} WHERE id = :id"), values | {"id": job.id}
            )

    return store


TAKEN = {"upstream_id": "up-1", "submitted_at": datetime(2026, 1, 1, tzinfo=UTC)}


async def asked(api: httpx.AsyncClient, query: str) -> Any:
    answer = await api.get(f"/v1/usage?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_jobs_are_summed_up_by_the_day_they_ended_on(api: httpx.AsyncClient, storing: Storing) -> None:
    await storing(Status.COMPLETED, "2026-01-30T23:59:59.999999Z", **TAKEN, cost_usd=0.1)
    await storing(Status.COMPLETED, "2026-01-31T00:00:00Z", **TAKEN, cost_usd=0.2)
    await storing(Status.COMPLETED, "2026-02-01T01:30:00+02:00", **TAKEN)
    await storing(Status.FAILED, "2026-01-31T12:00:00Z")
    await storing(Status.CANCELLED, "2026-02-01T00:00:00Z")

    assert await asked(api, "from=2026-01-30&to=2026-02-01") == {
        "from": "2026-01-30",
        "to": "2026-02-01",
        "by": "day",
        "data": [
            {"day": "2026-01-30", "jobs": NONE | {"completed": 1}, "cost_usd": 0.1, "uncertain_charges": 0},
            {
                "day": "2026-01-31",
                "jobs": NONE | {"completed": 2, "failed": 1},
                "cost_usd": 0.2,
                "uncertain_charges": 1,
            },
        ],
        "total": {
            "jobs": NONE | {"completed": 3, "failed": 1},
            "cost_usd": 0.3,
            "uncertain_charges": 1,
        },
    }


async def test_or_by_model(api: httpx.AsyncClient, storing: Storing) -> None:
    await storing(Status.COMPLETED, "2026-01-30T12:00:00Z", cost_usd=1)
    await storing(Status.COMPLETED, "2026-01-31T12:00:00Z", cost_usd=2, model="acme/paint")
    await storing(Status.EXPIRED, "2026-01-31T12:00:00Z")

    used = await asked(api, "from=2026-01-30&to=2026-02-01&by=model")

    assert used["data"] == [
        {"model": "acme/paint", "jobs": NONE | {"completed": 1}, "cost_usd": 2, "uncertain_charges": 0},
        {
            "model": FLUX,
            "jobs": NONE | {"completed": 1, "expired": 1},
            "cost_usd": 1,
            "uncertain_charges": 0,
        },
    ]


@pytest.mark.parametrize(
    ("status", "sets", "uncertain"),
    [
        (Status.COMPLETED, TAKEN, 1),
        (Status.COMPLETED, TAKEN | {"cost_usd": 0.1}, 0),
        (Status.COMPLETED, TAKEN | {"cost_usd": 0.1, "unconfirmed": 1}, 1),
        (Status.FAILED, TAKEN, 1),
        (Status.FAILED, {}, 0),
        (Status.FAILED, {"unconfirmed": 1}, 1),
        (Status.CANCELLED, TAKEN, 0),
        (Status.CANCELLED, TAKEN | {"unconfirmed": 1}, 1),
        (Status.CANCELLED, {}, 0),
        (Status.EXPIRED, TAKEN, 1),
        (Status.EXPIRED, TAKEN | {"cost_usd": 0}, 0),
        (Status.COMPLETED, TAKEN | {"mode": "test"}, 0),
    ],
)
async def test_a_charge_is_uncertain_if_it_is_possible_and_its_amount_is_unknown(
    api: httpx.AsyncClient, storing: Storing, status: Status, sets: dict[str, object], uncertain: int
) -> None:
    await storing(status, "2026-01-31T12:00:00Z", **sets)
    used = await asked(api, "from=2026-01-31&to=2026-02-01")
    assert used["total"]["uncertain_charges"] == uncertain


async def test_each_tenant_and_mode_sees_its_own(
    api: httpx.AsyncClient,
    storing: Storing,
    another_tenant: Callable[[str], Awaitable[Tenant]],
    tenant: Tenant,
    database: Database,
) -> None:
    other = await another_tenant("other")
    for owner in (other, tenant):
        for mode in ("live", "test", "test"):
            await storing(Status.COMPLETED, "2026-01-31T12:00:00Z", owner=owner, mode=mode)
    await storing(Status.COMPLETED, "2026-01-31T12:00:00Z", owner=other)
    async with database.statement() as connection:
        await connection.execute(
            text(
                "INSERT INTO usage_days (tenant_id, mode, day, model, status, jobs, cost_usd, uncertain)"
                " SELECT id, mode, DATE '2026-01-31', 'm', 'completed', 10, 1, 0"
                " FROM tenants, unnest(ARRAY['live', 'test']) AS mode"
            )
        )
    used = await asked(api, "from=2026-01-31&to=2026-02-01")
    assert used["total"] == {"jobs": NONE | {"completed": 11}, "cost_usd": 1, "uncertain_charges": 0}


async def test_without_days_the_last_thirty_are_shown(api: httpx.AsyncClient, storing: Storing) -> None:
    await storing(Status.COMPLETED, datetime.now(UTC).isoformat())
    used = (await api.get("/v1/usage")).json()
    assert used["total"]["jobs"] == NONE | {"completed": 1}
    assert (date.fromisoformat(used["to"]) - date.fromisoformat(used["from"])).days == 30
    assert used["data"][0]["day"] == str(date.fromisoformat(used["to"]) - timedelta(days=1))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=2026-01-32", "from must be a day like 2026-01-31, not '2026-01-32'."),
        ("to=2026-01-31T00:00:00Z", "to must be a day like 2026-01-31"),
        ("from=20260131", "from must be a day"),
        ("from=", "from must be a day"),
        ("from=2026-01-02&to=2026-01-02", "from must be 1 to 366 days before to."),
        ("from=2026-01-02&to=2026-01-01", "from must be 1 to 366 days before to."),
        ("from=2025-01-01&to=2026-01-03", "from must be 1 to 366 days before to."),
        ("by=status", "by must be day or model, not 'status'."),
        ("by=", "by must be day or model, not ''."),
        ("by=day&by=model", "by can be given once."),
        ("since=2026-01-01", "Not a parameter of this call: 'since'; there are: from, to, by."),
    ],
)
async def test_what_is_no_period_is_told(api: httpx.AsyncClient, query: str, said: str) -> None:
    answer = await api.get(f"/v1/usage?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert said in answer.json()["detail"]


def test_a_period_may_touch_the_ends_of_the_calendar() -> None:
    today = date(2026, 1, 31)
    assert period(b"to=0001-01-02", today=today)[:2] == (date(1, 1, 1), date(1, 1, 2))
    assert period(b"from=9999-01-01&to=9999-12-31", today=today)[1] == date.max
    assert period(b"to=2026-01-31", today=today)[:2] == (date(2026, 1, 1), today)
    with pytest.raises(BadRequestError):
        period(b"to=0001-01-01", today=today)


async def test_it_takes_the_scope_that_reads_jobs(
    stranger: httpx.AsyncClient, tenant: Tenant, new_key: NewKey
) -> None:
    headers = {"Authorization": f"Bearer {await new_key(tenant, scopes=('jobs:write',))}"}
    assert (await stranger.get("/v1/usage", headers=headers)).status_code == 403


async def test_its_answer_is_as_described(api: httpx.AsyncClient, storing: Storing) -> None:
    for status in sorted(ENDS):
        await storing(status, "2026-01-31T12:00:00Z")
    document = (await api.get("/schema/openapi.json")).json()
    schema = jsonschema_rs.Draft202012Validator(
        {"$ref": "#/components/schemas/Usage", "components": document["components"]}
    )
    for by in ("day", "model"):
        schema.validate(await asked(api, f"from=2026-01-31&to=2026-02-01&by={by}"))


async def test_the_year_s_usage_is_read_from_the_index_alone(
    api: httpx.AsyncClient,
    app: Litestar,
    database: Database,
    storing: Storing,
    tenant: Tenant,
) -> None:
    await storing(Status.COMPLETED, "2026-01-31T12:00:00Z")
    async with database.driver() as driver:
        await driver.execute(
            """
            INSERT INTO jobs (id, tenant_id, mode, model, input, warnings, callback_events, metadata,
                              priority, on_unconfirmed, status, created_at, expires_at, finished_at, output)
            SELECT uuidv7(), tenant_id, mode, model, input, warnings, callback_events, metadata, priority,
                   on_unconfirmed, status, created_at, expires_at,
                   finished_at - n * interval '1 minute', output
            FROM jobs, generate_series(1, 20000) AS n
            """
        )
        await driver.execute("VACUUM ANALYZE jobs")
    async with app.state.parts.database.of_tenant(tenant.id) as connection:
        await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        statement = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {usage._USED_BY['day'].text}")
        given = {
            "tenant": tenant.id, "mode": "live", "since": date(2026, 1, 25), "until": date(2026, 2, 1)
        }  # fmt: skip
        plan = str((await connection.execute(statement, given)).scalar_one())
    assert "'Index Only Scan'" in plan
    assert "ix_jobs_usage" in plan
    assert (await asked(api, "from=2025-12-31&to=2026-02-01"))["total"]["jobs"]["completed"] == 20_001
