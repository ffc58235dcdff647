"""The chaos test in its short form; `make chaos` is the long one, `make planted` shows that it can fail."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
RUN = (sys.executable, "-m", "chaos.run")
SIZE = ("--seed", "1", "--jobs", "150", "--faults", "25", "--lull", "0.3", "0.8", "--quiet", "120")


def test_150_jobs_through_25_faults_are_never_lost_nor_paid_twice_and_every_end_is_told() -> None:
    ran = subprocess.run([*RUN, *SIZE], cwd=TESTS, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "150 of 150" in ran.stderr, "nothing was asked for"
