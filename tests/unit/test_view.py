"""A job as it is shown: names, order, times."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import msgspec

from service.clock import moment
from service.jobs import view
from service.jobs.job import Job
from service.jobs.lifecycle import Status
from service.jobs.store.reads import Entry
from service.webhooks.store import Progress

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
URL = f"https://jobs.example/v1/jobs/{ID}"
JOB = Job(
    id=ID,
    tenant_id=UUID(int=7),
    mode="live",
    model="blackforestlabs/flux-2/dev/edit",
    input={"prompt": "make it night"},
    warnings=[],
    callback_url="https://hooks.example/a",
    callback_events=["job.completed"],
    external_id="order-17",
    metadata={"team": "ads"},
    priority=2,
    on_unconfirmed="fail",
    retry_of=None,
    status=Status.COMPLETED,
    sequence=5,
    owner=None,
    lease_until=None,
    epoch=1,
    due_at=AT,
    waiting_for=None,
    submits=1,
    unconfirmed=0,
    refusals=0,
    intent_at=AT,
    token_id=UUID(int=8),
    upstream_id="up-1",
    queue_position=None,
    cancel_requested_at=None,
    cancel_outcome=None,
    cancel_due_at=None,
    output={"images": ["https://pictures.example/a%20b.png"]},
    error=None,
    cost_usd=None,
    cost_due_at=None,
    created_at=AT,
    submitted_at=AT + timedelta(microseconds=1),
    started_at=AT + timedelta(seconds=1),
    finished_at=AT + timedelta(seconds=2),
    expires_at=AT + timedelta(hours=1),
    deleted_at=None,
)


def shown(**changes: object) -> dict[str, object]:
    return view.document(replace(JOB, **changes), public_url="https://jobs.example")  # type: ignore[arg-type]


def test_a_job_is_shown_with_all_its_fields_in_their_order() -> None:
    document = view.document(
        JOB, public_url="https://jobs.example", delivery=Progress("https://hooks.example/a", "delivered", 1)
    )

    assert list(document.items()) == [
        ("id", str(ID)),
        ("model", "blackforestlabs/flux-2/dev/edit"),
        ("status", "completed"),
        ("input", {"prompt": "make it night"}),
        ("output", {"images": ["https://pictures.example/a%20b.png"]}),
        ("error", None),
        ("warnings", []),
        ("external_id", "order-17"),
        ("metadata", {"team": "ads"}),
        ("priority", "high"),
        ("retry_of", None),
        ("queue_position", None),
        ("waiting_for", None),
        ("cancel", None),
        ("upstream_request_id", "up-1"),
        ("cost_usd", None),
        ("created_at", "2026-01-02T03:04:05.000000Z"),
        ("submitted_at", "2026-01-02T03:04:05.000001Z"),
        ("started_at", "2026-01-02T03:04:06.000000Z"),
        ("finished_at", "2026-01-02T03:04:07.000000Z"),
        ("expires_at", "2026-01-02T04:04:05.000000Z"),
        ("mode", "live"),
        ("delivery", {"url": "https://hooks.example/a", "status": "delivered", "attempts": 1}),
        ("urls", {"self": URL, "cancel": f"{URL}/cancel", "events": f"{URL}/events"}),
    ]


def test_what_is_shown_can_be_sent_as_it_is() -> None:
    document = shown(retry_of=UUID(int=9), cost_usd=Decimal("0.045000"))
    assert msgspec.json.decode(msgspec.json.encode(document)) == document
    assert (document["retry_of"], document["cost_usd"]) == (str(UUID(int=9)), 0.045)


def test_a_wish_to_cancel_is_shown_with_its_outcome() -> None:
    document = shown(cancel_requested_at=AT, cancel_outcome="pending")
    assert document["cancel"] == {"requested_at": "2026-01-02T03:04:05.000000Z", "outcome": "pending"}


def test_where_a_job_stands_while_it_waits() -> None:
    waiting = shown(status=Status.ACCEPTED, waiting_for="upstream_account")
    queued = shown(status=Status.IN_QUEUE, queue_position=0)
    assert (waiting["waiting_for"], queued["queue_position"]) == ("upstream_account", 0)


def test_a_webhook_tells_the_job_without_its_input_and_with_its_place() -> None:
    document = view.document(JOB, public_url="https://jobs.example")
    told = view.told(JOB, public_url="https://jobs.example")

    assert told == {name: value for name, value in document.items() if name not in ("input", "delivery")} | {
        "sequence": 5,
        "tenant_id": str(UUID(int=7)),
    }
    assert told["mode"] == "live"


def test_times_of_other_zones_are_shown_in_utc() -> None:
    assert moment(AT.astimezone(timezone(timedelta(hours=5)))) == "2026-01-02T03:04:05.000000Z"


def test_an_entry_of_the_timeline_is_shown_as_it_happened() -> None:
    entry = view.entry(Entry(sequence=2, type="job.submitting", at=AT, data={"submit": 1}))
    assert list(entry.items()) == [
        ("sequence", 2),
        ("type", "job.submitting"),
        ("at", "2026-01-02T03:04:05.000000Z"),
        ("data", {"submit": 1}),
    ]
