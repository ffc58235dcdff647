"""The state machine of a job: the only place that says which state may follow which.

    accepted → submitting → in_queue → in_progress → completed | failed | cancelled | expired

A `Move` names the states it may leave and the one it reaches. Every UPDATE of a job's state takes its guard
from here, the CHECK constraints are written from here, and the README's diagram is tested against it.
Ends are for ever: no move leaves one.
"""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where a job is. The order is the order of a job's life."""

    ACCEPTED = "accepted"
    """Stored here; nothing was sent, or what was sent is known not to have been taken."""
    SUBMITTING = "submitting"
    """The intent to send is committed. From here on a charge is possible until the answer is known."""
    IN_QUEUE = "in_queue"
    """The upstream took it and gave it an id."""
    IN_PROGRESS = "in_progress"
    """The upstream works on it; it cannot be cancelled any more."""
    COMPLETED = "completed"
    """Ended with an output."""
    FAILED = "failed"
    """Ended with an error: the upstream's, or that nobody knows whether the submit was taken."""
    CANCELLED = "cancelled"
    """Ended because somebody asked for it before it ran."""
    EXPIRED = "expired"
    """Ended because its deadline came first."""


ENDS = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})
UNDER_WAY = frozenset({Status.SUBMITTING, Status.IN_QUEUE, Status.IN_PROGRESS})
"""States that hold one of the upstream's places, and that a worker must be looking after."""
AT_UPSTREAM = frozenset({Status.IN_QUEUE, Status.IN_PROGRESS})
"""States in which the upstream knows the job by an id."""


@dataclass(frozen=True, slots=True)
class Move:
    """One allowed step. `event` is its name on the timeline and, where callers are told, in webhooks."""

    event: str
    leaves: frozenset[Status]
    reaches: Status


INTEND = Move("job.submitting", frozenset({Status.ACCEPTED}), Status.SUBMITTING)
"""A worker is about to send. Committed before the first byte."""
PUT_BACK = Move("job.put_back", frozenset({Status.SUBMITTING}), Status.ACCEPTED)
"""The submit was not taken, or it is unknown and the caller asked for another one."""
TAKE = Move("job.submitted", frozenset({Status.SUBMITTING}), Status.IN_QUEUE)
"""The upstream answered with an id."""
START = Move("job.in_progress", frozenset({Status.IN_QUEUE}), Status.IN_PROGRESS)
"""The upstream says that it runs. It may never be seen in its queue, so this may follow TAKE at once."""
COMPLETE = Move("job.completed", AT_UPSTREAM, Status.COMPLETED)
FAIL = Move("job.failed", UNDER_WAY, Status.FAILED)
"""Also from submitting: refused, or unknown. Never from accepted: what was not sent cannot have failed."""
CANCEL = Move("job.cancelled", frozenset({Status.ACCEPTED}) | AT_UPSTREAM, Status.CANCELLED)
"""From in_progress only by the upstream's word. Never from submitting: first learn whether it was taken."""
EXPIRE = Move("job.expired", frozenset({Status.ACCEPTED}) | AT_UPSTREAM, Status.EXPIRED)
"""Never from submitting, for the same reason."""

MOVES = (INTEND, PUT_BACK, TAKE, START, COMPLETE, FAIL, CANCEL, EXPIRE)

ACCEPTED_EVENT = "job.accepted"
"""The first entry of every timeline."""
END_EVENTS = tuple(move.event for move in MOVES if move.reaches in ENDS)
TOLD_EVENTS = (*END_EVENTS, TAKE.event, START.event)
"""What callers can ask to be told by webhook; without a choice, the ends."""
