"""The chaos test in its short form; `make chaos` is the long one, `make planted` shows that it can fail."""

import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
RUN = (sys.executable, "-m", "chaos.run")
SIZE = ("--seed", "1", "--jobs", "150", "--faults", "25", "--lull", "0.3", "0.8", "--quiet", "120")
# After these nothing is submitted for a quarter of a minute: that is for the long form.
LONG = ("--without", "token revoked", "--without", "account empty")


def test_150_jobs_through_25_faults_are_never_lost_nor_paid_twice_and_every_end_is_told() -> None:
    ran = subprocess.run(
        [*RUN, *SIZE, *LONG], cwd=TESTS, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^jobs +150$", ran.stdout, re.MULTILINE), ran.stdout
