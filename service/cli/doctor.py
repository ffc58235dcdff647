"""`edit-jobs doctor`: what the checks found, as a table or as JSON."""

import asyncio
from collections.abc import Sequence

import typer
from rich.text import Text

from service.cli import console
from service.cli.checks import Finding, Health, examine
from service.settings import InvalidSettingsError, load
from service.telemetry import configure

_MARKS = {
    Health.GOOD: Text("✓", style="bold green"),
    Health.ODD: Text("!", style="bold yellow"),
    Health.BAD: Text("✗", style="bold red"),
}


def run(*, json: bool) -> None:
    """Examine and tell; typer.Exit with 1 if anything is bad."""
    configure(level="error", form="console")
    findings = _examined()
    ok = not any(finding.health is Health.BAD for finding in findings)
    if json:
        console.as_json({"ok": ok, "checks": [finding.document() for finding in findings]})
    else:
        _show(findings)
    if not ok:
        raise typer.Exit(1)


def _examined() -> Sequence[Finding]:
    try:
        settings = load()
    except InvalidSettingsError as error:
        todo = "set it in the environment or in .env; nothing else can be checked before"
        return [Finding("settings", Health.BAD, line, todo) for line in str(error).splitlines()]
    with console.err.status("Checking"):
        return [Finding("settings", Health.GOOD, "can be used"), *asyncio.run(examine(settings))]


def _show(findings: Sequence[Finding]) -> None:
    rows: list[tuple[object, ...]] = []
    for finding in findings:
        rows.append((_MARKS[finding.health], Text(finding.check, style="bold"), finding.found))
        if finding.todo:
            rows.append(("", "", Text(f"→ {finding.todo}", style="yellow")))
    console.listing((), rows)
