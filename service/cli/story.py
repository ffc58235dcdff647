"""Steps as they happen, each with the seconds since the beginning."""

import time

from rich.text import Text

from service.cli import console


class Story:
    """Prints lines; the clock starts when it is made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def step(self, what: str) -> None:
        """Something new begins."""
        self._tell((what, "bold"))

    def detail(self, what: str, more: str = "") -> None:
        """Something happened in it."""
        self._tell(("  " + what.ljust(18) if more else "  " + what), (more and f"  {more}", "dim"))

    def good(self, what: str) -> None:
        """What was hoped for."""
        self._tell((what, "bold green"))

    def bad(self, what: str) -> None:
        """What was not."""
        self._tell((what, "bold red"))

    def part(self, name: str, seconds: float) -> None:
        """A part of the stack is ready."""
        self.detail(name, f"ready after {seconds:.1f} s")

    def _tell(self, *parts: str | tuple[str, str]) -> None:
        elapsed = f"{time.monotonic() - self._began:5.1f} s  "
        console.out.print(Text.assemble((elapsed, "cyan"), *parts))
