"""The names of metrics are an interface, and their labels a promise."""

import subprocess
import sys
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry import metrics

LABELS = {"call", "kind", "le", "limit", "method", "model", "move", "outcome", "reason", "route", "status"}
COUNTING = (
    "from service.telemetry import metrics\n"
    "metrics.ACCEPTED.labels('m').inc()\n"
    "print(metrics.exposition().decode())"
)


def test_every_metric_is_ours_explained_and_free_of_tenants() -> None:
    metrics.asked_upstream("cancel", object(), seconds=1)
    now = metrics.of_worker(leases_held=1, submit_window=1, hears_bells=True)
    stored = metrics.stored(jobs={("accepted", "m"): 1}, oldest_accepted=1, accounts_in_trouble=0)
    ours = [family for family in REGISTRY.collect() if family.name.startswith("edit_jobs_")]
    deliveries = metrics.of_deliveries(pending=1, held=1, lanes_open=1)
    for family in [*ours, *now, *stored, *deliveries]:
        assert family.documentation.endswith("."), family.name
        assert family.name.startswith("edit_jobs_")
        assert {label for sample in family.samples for label in sample.labels} <= LABELS, family.name
    assert len(ours) == 22


def test_what_is_read_now_stands_beside_what_was_counted() -> None:
    text = metrics.exposition(metrics.unstored()).decode()
    names = [family.name for family in text_string_to_metric_families(text)]
    assert "edit_jobs_database_up" in names
    assert "edit_jobs_moves" in names
    assert len(names) == len(set(names))


def test_an_outcome_is_a_word_like_all_others() -> None:
    class NotCancellable: ...

    metrics.asked_upstream("a call of this test", NotCancellable(), seconds=0.1)
    labels = {"call": "a call of this test", "outcome": "not_cancellable"}
    assert REGISTRY.get_sample_value("edit_jobs_upstream_calls_total", labels) == 1


def test_processes_that_share_a_port_tell_what_all_of_them_have_counted(tmp_path: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", COUNTING],
            env={metrics.SHARED_FOLDER: str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
    assert 'edit_jobs_accepted_total{model="m"} 2.0' in done.stdout
