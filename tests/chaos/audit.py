"""The promises, each as a question to the evidence. What breaks one is named in plain words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chaos.evidence import END_ENTRIES, ENDS, Case, Evidence
from chaos.telling import fed, told, told_the_same

STATE_ENTRIES = END_ENTRIES | {
    "job.accepted",
    "job.submitting",
    "job.put_back",
    "job.submitted",
    "job.in_progress",
}


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that was not kept, and for which number; None if for none in particular."""

    promise: str
    number: int | None
    what: str


def audit(evidence: Evidence, *, limit: int) -> list[Breach]:
    """All breaches; `limit` is the most that may be in flight upstream."""
    breaches = [
        Breach(promise, case.asked.number, what)
        for case in evidence.cases
        for promise, ask in PROMISES.items()
        for what in ask(case)
    ]
    breaches += [Breach("nothing from nowhere", None, stray) for stray in evidence.strays]
    if (most := most_in_flight(evidence)) > limit:
        breaches.append(Breach("never over the limit", None, f"{most} were in flight at once, {limit} may"))
    return breaches


def most_in_flight(evidence: Evidence) -> int:
    """At once, of the requests that belong to a job: what nobody knows of cannot be counted by anybody."""
    steps: list[tuple[float, int]] = []
    for case in evidence.cases:
        for submit in _taken(case):
            job, course = case.job, submit["course"]
            if job is None or job["upstream_request_id"] != submit["request_id"] or not job["finished_at"]:
                continue
            over = [course["cancelled_at"], course["finished_at"], job["finished_at"]]
            steps += [(_unix(course["taken_at"]), 1), (min(_unix(at) for at in over if at), -1)]
    most = now = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most


def lost(case: Case) -> Iterator[str]:
    listed = {job["id"] for job in case.listed}
    if missing := case.asked.accepted - listed:
        yield f"answered 2xx and in no list: {', '.join(missing)}"
    if listed and (case.job is None or not case.timeline):
        yield "in a list, but cannot be read"
    if not case.asked.accepted:
        yield "its caller was never told that it was accepted"


def clear_answers(case: Case) -> Iterator[str]:
    """A killed API gives no answer; all else is a success, or a 503 that says when to ask again."""
    for answer in case.asked.answers:
        if answer.code is None or answer.code < 300 or (answer.call, answer.code) == ("cancel", 409):
            continue
        if answer.code != 503 or not answer.says_when_to_ask_again:
            yield f"its {answer.call} was answered {answer.code}: {answer.text}"


def one_job_per_key(case: Case) -> Iterator[str]:
    ids = {job["id"] for job in case.listed} | case.asked.accepted
    if len(ids) > 1:
        yield f"one key made {len(ids)} jobs: {', '.join(sorted(ids))}"


def one_end(case: Case) -> Iterator[str]:
    job = case.job
    if job is None:
        return
    if job["status"] not in ENDS:
        yield f"it has not ended, it is {job['status']}"
        return
    ends = [entry for entry in case.types if entry in END_ENTRIES]
    if ends != [f"job.{job['status']}"]:
        yield f"it is {job['status']}, and the ends on its timeline are {ends}"
    if [entry for entry in case.types if entry in STATE_ENTRIES][-1] not in END_ENTRIES:
        yield "its state changed after its end"
    earlier = [answer.job for answer in case.asked.answers if answer.job]
    for seen in (*earlier, *case.listed):
        changed = [name for name in ("status", "finished_at", "output", "error") if seen[name] != job[name]]
        if seen["status"] in ENDS and changed:
            yield f"it had ended when it was read before, and since then changed {', '.join(changed)}"
    told = any(answer.call == "cancel" and answer.code == 200 for answer in case.asked.answers)
    if told and job["status"] != "cancelled":
        yield f"its caller was told that it is cancelled, and it is {job['status']}"


def whole_timeline(case: Case) -> Iterator[str]:
    numbers = [entry["sequence"] for entry in case.timeline]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"its sequence has holes or repeats: {numbers}"
    if case.types[:1] not in ([], ["job.accepted"]):
        yield f"its timeline begins with {case.types[0]}"


def paid_once(case: Case) -> Iterator[str]:
    taken, kept = _taken(case), case.types.count("job.submitted")
    if len(taken) > kept + case.unconfirmed:
        yield (
            f"the upstream took {len(taken)} submits; the job knows {kept}, and says of {case.unconfirmed}"
            " that nobody knows"
        )
    if (intents := case.types.count("job.submitting")) < len(case.submits):
        yield f"{len(case.submits)} submits came to the upstream, with {intents} intents on the timeline"


def true_end(case: Case) -> Iterator[str]:
    job = case.job
    if job is None:
        return
    by_id = {submit["request_id"]: submit["course"] for submit in _taken(case)}
    own = job["upstream_request_id"]
    charged = sum(course["cancelled_at"] is None for course in by_id.values())
    if own is not None and own not in by_id:
        yield f"its upstream id {own} is none that the upstream gave for it"
    if job["error"] and not job["error"]["may_be_charged"] and charged:
        yield f"it says that it was not charged, and {charged} of its submits ran"
    if job["error"] and job["error"]["retryable"] and job["error"]["may_be_charged"]:
        yield "it says that it may be retried, and also that it may have been charged"
    if job["status"] == "completed":
        if own in by_id and by_id[own]["status"] != "completed":
            yield f"it is completed, and the upstream's request is {by_id[own]['status']}"
        if own and not all(own in url for url in job["output"]["images"]):
            yield "its output is that of another request"
    if job["status"] == "cancelled" and charged > case.unconfirmed:
        yield f"it is cancelled, and {charged} of its submits ran"


def hidden_from_others(case: Case) -> Iterator[str]:
    if case.job is not None and case.seen_by_a_stranger != 404:
        yield f"another tenant's GET was answered {case.seen_by_a_stranger}"


PROMISES: dict[str, Callable[[Case], Iterator[str]]] = {
    "no job is lost": lost,
    "clear answers": clear_answers,
    "one key, one job": one_job_per_key,
    "one end, for ever": one_end,
    "sequences without holes": whole_timeline,
    "never submitted twice unmarked": paid_once,
    "ends are true": true_end,
    "every end is told": told,
    "never told differently": told_the_same,
    "the feed misses nothing": fed,
    "no tenant sees another's": hidden_from_others,
}


def _taken(case: Case) -> list[dict[str, Any]]:
    return [submit for submit in case.submits if submit["taken"]]


def _unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
