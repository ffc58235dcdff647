"""A job in RunComfy's words: what is said in each state, in which order, and how times are written."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from service.jobs import mirror
from service.jobs.job import Job
from service.jobs.lifecycle import Status

BASE = "https://jobs.example"
ID = "01890a5d-ac96-774b-bcce-b302099a8057"
AT = datetime(2026, 6, 16, 6, 3, 31, 791330, tzinfo=UTC)
READS = {
    "status_url": f"{BASE}/v1/requests/{ID}/status",
    "result_url": f"{BASE}/v1/requests/{ID}/result",
}


def job(status: Status, **fields: Any) -> Job:
    """A job of which only what is told here matters."""
    empty: dict[str, Any] = dict.fromkeys(Job.__slots__)
    return Job(**{**empty, "id": UUID(ID), "created_at": AT, "finished_at": AT, "status": status, **fields})


def test_a_submit_is_answered_with_the_urls_of_this_service_in_runcomfys_order() -> None:
    taken = mirror.taken(job(Status.ACCEPTED), public_url=BASE)
    cancel = {"cancel_url": f"{BASE}/v1/requests/{ID}/cancel"}
    assert list(taken.items()) == list(({"request_id": ID} | READS | cancel).items())


def test_every_state_has_a_word_that_runcomfy_has_too() -> None:
    said = {state: mirror.status(job(state), public_url=BASE)["status"] for state in Status}
    assert said == {
        "accepted": "in_queue",
        "submitting": "in_queue",
        "in_queue": "in_queue",
        "in_progress": "in_progress",
        "completed": "completed",
        "failed": "completed",
        "cancelled": "cancelled",
        "expired": "completed",
    }


def test_the_position_is_told_where_it_is_known_and_only_in_the_queue() -> None:
    waiting = mirror.status(job(Status.IN_QUEUE, queue_position=0), public_url=BASE)
    told = {"request_id": ID, "status": "in_queue", "queue_position": 0} | READS
    assert list(waiting.items()) == list(told.items())

    for other in (job(Status.SUBMITTING), job(Status.IN_PROGRESS, queue_position=1)):
        assert list(mirror.status(other, public_url=BASE)) == ["request_id", "status", *READS]


def test_a_good_result_has_the_output_and_both_times() -> None:
    made = job(Status.COMPLETED, output={"images": ["https://p.example/a%20b.png", "https://p.example/c"]})
    assert list(mirror.result(made, with_cost=False).items()) == [
        ("request_id", ID),
        ("status", "succeeded"),
        ("output", {"images": ["https://p.example/a%20b.png", "https://p.example/c"]}),
        ("created_at", "2026-06-16T06:03:31.791330+00:00"),
        ("finished_at", "2026-06-16T06:03:31.791330+00:00"),
    ]


def test_one_picture_is_told_for_clients_that_read_one_and_for_those_that_read_many() -> None:
    made = job(
        Status.COMPLETED, output={"images": ["https://p.example/a"], "videos": ["https://p.example/v"]}
    )
    output = mirror.result(made, with_cost=False)["output"]
    assert list(output.items()) == [
        ("image", "https://p.example/a"),
        ("images", ["https://p.example/a"]),
        ("video", "https://p.example/v"),
        ("videos", ["https://p.example/v"]),
    ]


def test_a_bad_end_has_the_upstreams_words_and_no_time_of_its_end() -> None:
    for state in (Status.FAILED, Status.EXPIRED):
        ended = job(state, error={"code": "upstream_failed", "message": 'said: {"detail":[]}'})
        assert list(mirror.result(ended, with_cost=True).items()) == [
            ("request_id", ID),
            ("status", "failed"),
            ("created_at", "2026-06-16T06:03:31.791330+00:00"),
            ("error", 'said: {"detail":[]}'),
        ]


def test_a_result_that_is_not_there_tells_the_state() -> None:
    for state in (Status.ACCEPTED, Status.IN_PROGRESS, Status.CANCELLED):
        result = mirror.result(job(state), with_cost=True)
        assert list(result) == ["request_id", "status", "created_at"]
        assert result["status"] == mirror.WORDS[state]


def test_the_cost_is_a_number_where_it_is_asked_for_and_known() -> None:
    output = {"images": ["https://p.example/a"]}
    paid = job(Status.COMPLETED, output=output, cost_usd=Decimal("0.015000"))

    assert list(mirror.result(paid, with_cost=True).items())[-1] == ("cost", 0.015)
    assert "cost" not in mirror.result(paid, with_cost=False)
    assert "cost" not in mirror.result(job(Status.COMPLETED, output=output), with_cost=True)


def test_times_are_in_utc_and_never_without_microseconds() -> None:
    east = datetime(2026, 6, 16, 8, 0, tzinfo=timezone(timedelta(hours=2)))
    result = mirror.result(job(Status.ACCEPTED, created_at=east), with_cost=False)
    assert result["created_at"] == "2026-06-16T06:00:00.000000+00:00"


def test_what_became_of_a_wish_to_cancel_is_told_by_its_outcome() -> None:
    assert list(mirror.cancelled(job(Status.CANCELLED)).items()) == [
        ("request_id", ID),
        ("status", "completed"),
        ("outcome", "cancelled"),
    ]
    assert mirror.not_cancellable(job(Status.IN_PROGRESS)) == {
        "request_id": ID,
        "status": "in_progress",
        "outcome": "not_cancellable",
    }
    pending = mirror.cancellation_requested(job(Status.IN_QUEUE))
    assert pending == {"request_id": ID, "status": "cancellation_requested"}
