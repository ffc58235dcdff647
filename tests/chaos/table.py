"""What a run comes to, as text: the faults and how soon jobs went on after each kind, and the ends.

How soon: of the jobs that were under way (submitting, queued or running) when a fault began, the seconds
from its beginning until the last of them had its next entry on the timeline. Faults overlap, so a mild one
bears what a grave one beside it did; jobs that run for ever are left out.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from statistics import mean, median

from chaos.audit import PROMISES, Breach
from chaos.evidence import END_ENTRIES, Case, Evidence
from chaos.faults import Played

SETS_OUT, COMES_BACK = "job.submitting", {"job.put_back", *END_ENTRIES}


def table(evidence: Evidence, played: Sequence[Played], breaches: Sequence[Breach]) -> str:
    return "\n".join([*_faults(evidence, played), "", *_ends(evidence), "", *_promises(breaches)])


def _faults(evidence: Evidence, played: Sequence[Played]) -> list[str]:
    spans = [span for case in evidence.cases for span in _spans(case)]
    lasted, went_on = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for fault in played:
        lasted[fault.kind].append(fault.lifted - fault.began)
        waits = [
            moments[bisect_right(moments, fault.began)] - fault.began
            for moments in spans
            if moments[0] <= fault.began < moments[-1]
        ]
        went_on[fault.kind].append(max(waits, default=0.0))
    lines = [f"{'fault':<28}{'times':>6}{'lasted s':>10}{'went on after s: median':>26}{'worst':>7}"]
    lines += [
        f"{kind:<28}{len(lasted[kind]):>6}{mean(lasted[kind]):>10.1f}"
        f"{median(went_on[kind]):>26.1f}{max(went_on[kind]):>7.1f}"
        for kind in sorted(lasted)
    ]
    return [*lines, f"{f'{len(lasted)} kinds':<28}{len(played):>6}"]


def _ends(evidence: Evidence) -> list[str]:
    jobs = [case.job for case in evidence.cases if case.job]
    ends = Counter(f"{job['status']} {(job['error'] or {}).get('code', '')}".strip() for job in jobs)
    submits = sum(len(case.submits) for case in evidence.cases)
    taken = sum(submit["taken"] for case in evidence.cases for submit in case.submits)
    deliveries = sum(len(case.deliveries) for case in evidence.cases)
    posts = Counter(
        "answered" if answer.code and answer.code < 300 else "repeated"
        for case in evidence.cases
        for answer in case.asked.answers
        if answer.call == "POST"
    )
    return [
        *(f"{end:<40}{count:>8}" for end, count in sorted(ends.items())),
        f"{'jobs':<40}{len(jobs):>8}",
        f"{'their POSTs here, of them 2xx':<40}{posts.total():>8}{posts['answered']:>8}",
        f"{'submits at the upstream, of them taken':<40}{submits:>8}{taken:>8}",
        f"{'webhooks at the receiver':<40}{deliveries:>8}",
        f"{'most in flight upstream':<40}{evidence.most_in_flight:>8}",
    ]


def _promises(breaches: Sequence[Breach]) -> list[str]:
    broken = Counter(breach.promise for breach in breaches)
    return [f"{promise:<32}broken {broken[promise]:>5}" for promise in dict.fromkeys([*PROMISES, *broken])]


def _spans(case: Case) -> list[list[float]]:
    """Each stretch of being under way, as the times of its entries."""
    if "sim:stuck" in case.asked.body["input"]["prompt"]:
        return []
    spans: list[list[float]] = []
    under_way = False
    for entry in case.timeline:
        if entry["type"] == SETS_OUT:
            spans.append([])
            under_way = True
        if under_way:
            spans[-1].append(datetime.fromisoformat(entry["at"]).timestamp())
        under_way = under_way and entry["type"] not in COMES_BACK
    return [span for span in spans if len(span) > 1]
