"""Everything about one job, in the order of time: printed when it broke a promise."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from chaos.evidence import Case, digest
from chaos.faults import Played

LINES_OF_LOGS = 40


def story(case: Case, faults: Sequence[Played], *, logs: Path) -> str:
    """What its caller, the service, the upstream and the receiver say of it, and what was wrong meanwhile."""
    happened = sorted([*_caller(case), *_timeline(case), *_upstream(case), *_receiver(case)])
    if happened:
        first, last = _unix(happened[0][0]), _unix(happened[-1][0])
        happened += [
            (_moment(fault.began), f"FAULT      {fault.kind}, until {_moment(fault.lifted)[11:]}")
            for fault in faults
            if fault.lifted > first - 1 and fault.began < last + 1
        ]
    asked = case.asked
    ids = {job["id"] for job in case.listed} | asked.accepted
    return "\n".join(
        [
            f"--- number {asked.number} of {asked.tenant.name}: {asked.body['input']['prompt']!r}",
            *(f"    {at[11:26]}  {what}" for at, what in sorted(happened)),
            f"    now: {json.dumps(case.job)}",
            *(f"    {line}" for job_id in ids for line in _logged(logs, job_id)),
        ]
    )


def _caller(case: Case) -> Iterator[tuple[str, str]]:
    for answer in case.asked.answers:
        status = f"{answer.job['status']} {answer.job['id']}" if answer.job else answer.text
        yield _moment(answer.at), f"caller     {answer.call}: {answer.code} {status}"


def _timeline(case: Case) -> Iterator[tuple[str, str]]:
    for entry in case.timeline:
        yield entry["at"], f"timeline   {entry['sequence']} {entry['type']} {json.dumps(entry['data'])[:200]}"


def _upstream(case: Case) -> Iterator[tuple[str, str]]:
    for submit in case.submits:
        yield submit["at"], f"upstream   submit answered {submit['answered']}, took {submit['request_id']}"
        for name in ("started_at", "finished_at", "cancelled_at"):
            if submit["course"] and submit["course"][name]:
                yield submit["course"][name], f"upstream   {name} {submit['request_id']}"


def _receiver(case: Case) -> Iterator[tuple[str, str]]:
    for one in case.deliveries:
        headers, event = one["headers"], json.loads(one["body"])
        what = f"{event['type']} {headers['webhook-id']} attempt {headers.get('webhook-attempt')}"
        yield one["at"], f"receiver   {what} bytes {digest(one['body'])}, answered {one['answered']}"


def _logged(folder: Path, job_id: str) -> list[str]:
    found = [
        f"{log.stem}: {line}"
        for log in sorted(folder.glob("*.log"))
        for line in log.read_text(errors="replace").splitlines()
        if job_id in line
    ]
    return found[:LINES_OF_LOGS]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def _unix(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
