"""`edit-jobs doctor`: what the checks found, as a table or as JSON."""

import asyncio
from collections.abc import Sequence

import typer
from rich.table import Table
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
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for finding in findings:
        table.add_row(_MARKS[finding.health], Text(finding.check, style="bold"), Text(finding.found))
        if finding.todo:
            table.add_row("", "", Text(f"→ {finding.todo}", style="yellow"))
    console.out.print(table)
