import base64
import itertools
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.application import app
from service.settings import SettingsOfApi, load

SECRET_KEY = base64.b64encode(b"k" * 32).decode()
NOBODY_LISTENS = "postgresql://operator:hunter2@127.0.0.1:1/jobs"

pytestmark = pytest.mark.usefixtures("logging_kept")

COMMANDS = [
    [],
    ["demo"],
    ["dev"],
    ["api"],
    ["worker"],
    ["migrate"],
    ["simulator"],
    ["doctor"],
    ["jobs"],
    ["jobs", "list"],
    ["jobs", "show"],
    ["jobs", "cancel"],
    ["jobs", "retry"],
    ["deliveries"],
    ["deliveries", "list"],
    ["deliveries", "show"],
    ["deliveries", "redeliver"],
    ["endpoints"],
    ["endpoints", "list"],
    ["endpoints", "test"],
    ["endpoints", "enable"],
    ["endpoints", "replay"],
    ["secrets"],
    ["secrets", "reencrypt"],
    ["secrets", "rotate-signing-key"],
    ["tenants"],
    ["tenants", "create"],
    ["tenants", "list"],
    ["tenants", "show"],
    ["tenants", "set"],
    ["tenants", "disable"],
    ["tenants", "enable"],
    ["tenants", "set-token"],
    ["tenants", "remove-token"],
    ["audit"],
    ["keys"],
    ["keys", "create"],
    ["keys", "list"],
    ["keys", "revoke"],
]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("EDIT_JOBS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _postgres_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_JOBS_DATABASE_URL", NOBODY_LISTENS)
    monkeypatch.setenv("EDIT_JOBS_SECRET_KEY", SECRET_KEY)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def run(*arguments: str) -> Result:
    """Fails if anything but an exit code came out: that would be a traceback."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert re.search(r"Usage: .*\n\s*\n +[A-Z][^\n]{10,}", result.stdout), result.stdout


def test_help_flows_to_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = run("secrets", "reencrypt", "--help").stdout.partition("╭")[0].splitlines()
    paragraph = [line.strip() for line in said if line.strip()][3:]
    assert len(paragraph) > 2
    for line, following in itertools.pairwise(paragraph):
        assert len(f" {line} {following.split()[0]} ") > 80, "broken where there was room"


def test_help_on_limits_names_defaults_only_where_they_are_given() -> None:
    assert "100 keys" in run("tenants", "create", "--help").stdout
    assert "default" not in run("tenants", "set", "--help").stdout


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"edit-jobs \d+\.\d+\.\d+\n", run("--version").stdout)


@pytest.mark.parametrize(
    "command",
    [
        ["api"],
        ["worker"],
        ["migrate"],
        ["jobs", "list"],
        ["tenants", "list"],
        ["tenants", "create", "shop"],
        ["keys", "create", "shop"],
    ],
    ids=" ".join,
)
def test_missing_settings_are_named_one_per_line(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "error: the settings cannot be used:",
        "  EDIT_JOBS_DATABASE_URL: is not set",
        "  EDIT_JOBS_SECRET_KEY: is not set",
    ]


def test_only_the_api_does_without_the_owners_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_JOBS_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("EDIT_JOBS_API_DATABASE_URL", "postgresql://web@nowhere.invalid/jobs")
    assert load(SettingsOfApi).url_for_api == "postgresql+asyncpg://web@nowhere.invalid/jobs"
    for command in (["worker"], ["migrate"], ["tenants", "list"]):
        assert "EDIT_JOBS_DATABASE_URL: is not set" in run(*command).stderr


@pytest.mark.usefixtures("_postgres_away")
def test_a_worker_needs_a_token_for_the_upstream() -> None:
    result = run("worker")
    assert result.exit_code == 1
    assert "EDIT_JOBS_UPSTREAM_TOKEN: is not set" in result.stderr


@pytest.mark.usefixtures("_postgres_away")
@pytest.mark.parametrize(
    "command",
    [
        ["migrate"],
        ["tenants", "list"],
        ["tenants", "create", "shop"],
        ["tenants", "set", "shop", "--weight", "2"],
        ["tenants", "show", "shop"],
        ["tenants", "disable", "shop"],
        ["tenants", "enable", "shop"],
        ["tenants", "remove-token", "shop"],
        ["audit"],
        ["keys", "list"],
        ["keys", "create", "shop"],
        ["keys", "create", "--admin"],
        ["keys", "revoke", "01890a5d-ac96-774b-bcce-b302099a8057"],
        ["jobs", "list"],
        ["jobs", "show", "01890a5d-ac96-774b-bcce-b302099a8057"],
        ["jobs", "cancel", "01890a5d-ac96-774b-bcce-b302099a8057"],
        ["jobs", "retry", "01890a5d-ac96-774b-bcce-b302099a8057"],
    ],
    ids=" ".join,
)
def test_a_postgres_that_is_away_is_named_without_its_password(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: Postgres at 127.0.0.1:1/jobs cannot be reached: ")
    assert "hunter2" not in result.output


@pytest.mark.usefixtures("_postgres_away")
def test_a_database_url_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_JOBS_DATABASE_URL", "postgresql://operator:hunter2@host:port/jobs")
    result = run("tenants", "list")
    assert result.exit_code == 1
    assert "EDIT_JOBS_DATABASE_URL" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.usefixtures("_postgres_away")
def test_a_parameter_that_the_driver_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_JOBS_DATABASE_URL", f"{NOBODY_LISTENS}?no_such=1")
    result = run("tenants", "list")
    assert result.exit_code == 1
    assert "'no_such'" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["no-such-command"],
        ["tenants", "create"],
        ["tenants", "create", "two\nlines"],
        ["tenants", "create", "shop", "--weight", "0"],
        ["tenants", "create", "shop", "--weight", "1001"],
        ["tenants", "create", "shop", "--max-in-flight", "-1"],
        ["tenants", "create", "shop", "--max-in-flight", "many"],
        ["tenants", "create", "shop", "--max-in-flight", "2147483648"],
        ["tenants", "set", "shop", "--requests-per-second", "0"],
        ["tenants", "set-token", "shop"],
        ["tenants", "set-token", "shop", "token"],
        ["keys", "create"],
        ["keys", "create", "shop", "--admin"],
        ["keys", "create", "--admin", "--test"],
        ["keys", "create", "--admin", "--scope", "jobs:read"],
        ["keys", "create", "shop", "--expires-in", "soon"],
        ["keys", "create", "shop", "--expires-in", "99999999d"],
        ["keys", "create", "shop", "--expires-at", "2026-01-31"],
        ["keys", "create", "shop", "--expires-in", "1d", "--expires-at", "2100-01-31T00:00:00Z"],
        ["keys", "revoke", "not-an-id"],
        ["audit", "--limit", "0"],
        ["jobs", "show", "not-an-id"],
        ["jobs", "list", "--limit", "0"],
        ["api", "--port", "65536"],
        ["api", "--processes", "0"],
        ["dev", "--port", "0"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("_postgres_away")
def test_a_command_that_is_not_understood_exits_with_2(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error" in result.stderr


@pytest.mark.usefixtures("_postgres_away")
def test_a_change_of_nothing_says_what_can_be_changed() -> None:
    result = run("tenants", "set", "shop")
    assert result.exit_code == 2
    assert "--max-in-flight" in result.stderr


@pytest.mark.usefixtures("_postgres_away")
def test_a_workers_port_in_use_is_named_with_its_setting(
    monkeypatch: pytest.MonkeyPatch, taken_port: int
) -> None:
    monkeypatch.setenv("EDIT_JOBS_UPSTREAM_TOKEN", "tok")
    monkeypatch.setenv("EDIT_JOBS_METRICS_PORT", str(taken_port))
    result = run("worker")
    assert result.exit_code == 1
    assert f"port {taken_port}" in result.stderr
    assert "choose one with EDIT_JOBS_METRICS_PORT" in result.stderr


@pytest.mark.usefixtures("_postgres_away")
@pytest.mark.parametrize("command", ["api", "dev", "simulator"])
def test_a_port_in_use_is_named_before_anything_is_started(command: str, taken_port: int) -> None:
    result = run(command, "--port", str(taken_port))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: port {taken_port} of 127.0.0.1 is in use")
    assert not Path(".edit-jobs").exists()


@pytest.mark.usefixtures("_postgres_away")
def test_a_host_that_is_not_ours_is_named() -> None:
    result = run("api", "--host", "192.0.2.1")
    assert result.exit_code == 1
    assert "192.0.2.1" in result.stderr


@pytest.mark.parametrize(
    ("command", "package"),
    [("demo", "PIL"), ("simulator --port 0", "pillow")],
)
def test_a_missing_extra_is_named_with_its_cure(
    command: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name == "PIL" or name.startswith("PIL.")]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("service.cli.demo", "service.dev.simulator.gallery", "service.dev.simulator.pictures"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)
    result = run(*command.split())
    assert result.exit_code == 1
    assert package in result.stderr
    assert "pip install 'edit-jobs[embedded]'" in result.stderr


def test_a_folder_that_cannot_be_written_is_named() -> None:
    Path(".edit-jobs").write_text("in the way")
    result = run("demo")
    assert result.exit_code == 1
    assert ".edit-jobs" in result.stderr


@pytest.mark.usefixtures("_postgres_away")
def test_the_doctor_says_what_is_wrong_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "UPSTREAM_URL", "PUBLIC_URL"):
        scheme = "redis" if name == "REDIS_URL" else "http"
        monkeypatch.setenv(f"EDIT_JOBS_{name}", f"{scheme}://127.0.0.1:1")
    result = run("doctor")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split()[:2] for line in lines if line[0] != " "] == [
        ["✓", "settings"],
        ["✗", "Postgres"],
        ["✗", "Redis"],
        ["✗", "upstream"],
        ["!", "PUBLIC_URL"],
    ]
    assert "→ check EDIT_JOBS_DATABASE_URL, and that it runs" in result.stdout
    assert "hunter2" not in result.output
    told = json.loads(run("doctor", "--json").stdout)
    assert told["ok"] is False
    assert [check["health"] for check in told["checks"]] == ["good", "bad", "bad", "bad", "odd"]


def test_the_doctor_stops_at_settings_that_cannot_be_used() -> None:
    result = run("doctor", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [check["found"] for check in told["checks"]] == [
        "EDIT_JOBS_DATABASE_URL: is not set",
        "EDIT_JOBS_SECRET_KEY: is not set",
    ]


def test_help_and_mistakes_wait_for_nothing_heavy() -> None:
    program = (
        "import sys; from service.cli import main; sys.argv = ['edit-jobs', 'tenants', '--help']\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "service.cli.tenants" in done.stdout
    assert not {"sqlalchemy", "litestar", "asyncpg", "alembic"} & set(done.stdout.split())


@pytest.mark.parametrize("told", [{}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}], ids=["no terminal", "NO_COLOR"])
def test_nothing_is_coloured_without_a_terminal_or_with_no_color(told: dict[str, str]) -> None:
    quiet = {name: value for name, value in os.environ.items() if "COLOR" not in name and name != "TERM"}
    command = [sys.executable, "-m", "service.cli", "tenants", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet | told)
    assert done.returncode == 1
    assert "EDIT_JOBS_DATABASE_URL" in done.stderr
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", done.stdout + done.stderr)
