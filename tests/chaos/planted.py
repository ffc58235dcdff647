"""Shows that the audit can fail, by a run with each of the planted bugs: `python -m chaos.planted`.

Some run must break the promise that its bug breaks: one that is a race shows in every second or third. It
exits 1 if one of them is not found.
"""

import subprocess
import sys

from chaos.plants import PLANTS, TESTS

RUN = (sys.executable, "-m", "chaos.run")
ALONE = ("--jobs", "400", "--faults", "6", "--storm", "1", "1", "--lull", "5", "6", "--quiet", "60")
TOGETHER = ("--jobs", "400", "--faults", "12", "--storm", "3", "3", "--lull", "3", "4", "--quiet", "60")
SEEDS = range(1, 9)
# How the faults come that show it, and which promise is broken then.
SHOWN = {
    "unguarded_end": (ALONE, "one end, for ever"),
    "intent_after_the_post": (TOGETHER, "never submitted twice unmarked"),
    "no_lease_check": (TOGETHER, "never submitted twice unmarked"),
}


def main() -> None:
    missed = [bug for bug in PLANTS if not _found(bug)]
    sys.exit(f"Not found: {', '.join(missed)}" if missed else 0)


def _found(bug: str) -> bool:
    size, promise = SHOWN[bug]
    for seed in SEEDS:
        ran = subprocess.run(
            [*RUN, *size, "--seed", str(seed), "--plant", bug],
            cwd=TESTS,
            capture_output=True,
            text=True,
            check=False,
        )
        broken = [line for line in ran.stdout.splitlines() if line.startswith(f"BROKEN  {promise}:")]
        if ran.returncode == 1 and broken:
            sys.stdout.write(f"{bug}, seed {seed}: {broken[0]}\n")
            return True
        sys.stdout.write(f"{bug}, seed {seed}: not found\n")
    sys.stdout.write(ran.stdout + ran.stderr)
    return False


if __name__ == "__main__":
    main()
