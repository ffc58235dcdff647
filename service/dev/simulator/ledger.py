"""Everything the simulator saw: the submits, what became of them, and how often each was asked about.

It is the witness's memory. Nothing runs in the background: where a request stands is computed from
the clock when somebody asks.
"""

import hashlib
import heapq
from collections import Counter, deque
from dataclasses import dataclass, field
from uuid import uuid4

import msgspec

from service.dev.simulator.edit import Edit, asked
from service.dev.simulator.script import Script, Stage

# Submits remembered; the oldest are forgotten first, and their requests with them.
KEPT = 200_000


@dataclass(slots=True)
class Request:
    """A submit that was taken. Times are Unix seconds."""

    id: str
    body: bytes
    script: Script
    taken_at: float
    cancelled_at: float | None = None
    status_reads: int = 0
    result_reads: int = 0
    cancels: int = 0

    @property
    def started_at(self) -> float:
        return self.taken_at + self.script.queue

    @property
    def finished_at(self) -> float:
        return self.started_at + self.script.run

    def stage(self, now: float) -> Stage:
        return Stage.CANCELLED if self.cancelled_at is not None else self.script.stage(now - self.taken_at)

    def edit(self) -> Edit:
        return asked(msgspec.json.decode(self.body))


@dataclass(frozen=True, slots=True)
class Submit:
    """One POST of a submit; `answered` is the HTTP status, or None where the connection was closed."""

    at: float
    model_id: str
    body: bytes
    token: str | None
    answered: int | None
    request: Request | None


@dataclass(slots=True)
class Flight:
    """What is taken and not ended, and the most there ever was at once."""

    highest: int = 0
    _ends: list[tuple[float, str]] = field(default_factory=list)
    _aloft: set[str] = field(default_factory=set)

    def take(self, request: Request) -> None:
        heapq.heappush(self._ends, (request.finished_at, request.id))
        self._aloft.add(request.id)
        self.highest = max(self.highest, self.count(request.taken_at))

    def leave(self, request: Request) -> None:
        self._aloft.discard(request.id)

    def count(self, now: float) -> int:
        while self._ends and self._ends[0][0] <= now:
            self._aloft.discard(heapq.heappop(self._ends)[1])
        return len(self._aloft)


class Ledger:
    def __init__(self) -> None:
        self.submits: deque[Submit] = deque()
        self.calls: Counter[str] = Counter()
        self.taken = 0
        self.flight = Flight()
        self._requests: dict[str, Request] = {}
        self._bodies: Counter[bytes] = Counter()

    def request(self, request_id: str) -> Request | None:
        return self._requests.get(request_id)

    def seen_before(self, body: bytes) -> int:
        """Counts this submit of a body and says how many of the same bytes came before it."""
        digest = hashlib.blake2b(body, digest_size=16).digest()
        self._bodies[digest] += 1
        return self._bodies[digest] - 1

    def take(self, body: bytes, *, script: Script, now: float) -> Request:
        request = Request(id=str(uuid4()), body=body, script=script, taken_at=now)
        self._requests[request.id] = request
        self.taken += 1
        self.flight.take(request)
        return request

    def note(self, submit: Submit) -> None:
        self.submits.append(submit)
        if len(self.submits) > KEPT:
            forgotten = self.submits.popleft().request
            if forgotten is not None:
                del self._requests[forgotten.id]

    def cancel(self, request: Request, *, now: float) -> bool:
        """Whether it is cancelled, now or from before: only what is in the queue can be."""
        if request.stage(now) is Stage.IN_QUEUE:
            request.cancelled_at = now
            self.flight.leave(request)
        return request.cancelled_at is not None


def fingerprint(token: str) -> str:
    """Tells tokens apart without showing them."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]
