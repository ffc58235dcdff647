"""What tells the workers that there is something to do, as those know it who ring it."""

from typing import Protocol


class Bell(Protocol):
    """Rung after the commit: `queue` has the one that there is."""

    def ring(self) -> None:
        """Never fails and never waits: a bell that was not heard costs a moment, not a job."""
