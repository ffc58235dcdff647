"""Shows that the audit can fail, by a run with each of the planted bugs: `python -m chaos.planted`.

Every run must break the promise that its bug breaks. It exits 1 if one of them is not found.
"""

import subprocess
import sys

from chaos.plants import PLANTS, TESTS

RUN = (sys.executable, "-m", "chaos.run")
SIZE = ("--jobs", "400", "--faults", "12", "--lull", "1.5", "3", "--quiet", "60")
BREAKS = {
    "unguarded_end": "one end, for ever",
    "intent_after_the_post": "never submitted twice unmarked",
    "no_lease_check": "never submitted twice unmarked",
}


def main() -> None:
    missed = [bug for bug in PLANTS if not _found(bug)]
    sys.exit(f"Not found: {', '.join(missed)}" if missed else 0)


def _found(bug: str) -> bool:
    ran = subprocess.run(
        [*RUN, *SIZE, "--plant", bug], cwd=TESTS, capture_output=True, text=True, check=False
    )
    broken = [line for line in ran.stdout.splitlines() if line.startswith(f"BROKEN  {BREAKS[bug]}:")]
    found = ran.returncode == 1 and bool(broken)
    sys.stdout.write(f"{bug}: {broken[0] if found else 'not found'}\n")
    if not found:
        sys.stdout.write(ran.stdout + ran.stderr)
    return found


if __name__ == "__main__":
    main()
