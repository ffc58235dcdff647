"""The Dockerfile, compose.yaml and what the README says about deploying are true of the code."""

import http.server
import json
import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml  # type: ignore[import-untyped]
from deploying.dockerfile import instructions

from service.api import health
from service.api.server import GRACE_SECONDS, KEEP_ALIVE_SECONDS
from service.cli.application import app
from service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCKERFILE = list(instructions((ROOT / "Dockerfile").read_text()))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS = {name: part for name, part in COMPOSE.items() if part["image"] == "edit-jobs"}
CODE = "\n".join(file.read_text() for file in (ROOT / "service").rglob("*.py"))


def last(name: str) -> str:
    """What the image's last instruction of that name says."""
    return [step.rest for step in DOCKERFILE if step.name == name][-1]


def about(title: str) -> str:
    """The README's section, with those below it."""
    return re.split(rf"(?m)^#+ {title}\n", README)[1].partition("\n## ")[0]


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


@pytest.mark.parametrize(
    "arguments",
    [
        *(part["command"] for part in OURS.values()),
        json.loads(last("CMD")),
        *(
            re.sub(r"\s+#.*", "", line).split()
            for line in re.findall(
                r"(?m)^(?:docker compose exec worker )?edit-jobs (.*)", about("Running it")
            )
        ),
    ],
    ids=" ".join,
)
def test_every_command_that_is_started_is_one_of_ours(arguments: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    while arguments and hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    # Parses, and runs nothing; a key's id is made up in the README.
    arguments = ["01a20345-7da5-70e7-8ec3-cdc4ce27b819" if word == "ID" else word for word in arguments]
    command.make_context("edit-jobs", arguments)


def test_every_setting_that_is_named_exists() -> None:
    named = set()
    for text in (README, (ROOT / "compose.yaml").read_text(), (ROOT / "Dockerfile").read_text()):
        named |= set(re.findall(rf"{PREFIX}(\w+)", text))
    assert {name.lower() for name in named} <= set(Settings.model_fields)


def test_what_compose_sets_and_the_file_that_it_asks_for_are_all_that_is_required() -> None:
    asked = re.findall(rf"(?m)^#   {PREFIX}(\w+)=", (ROOT / "compose.yaml").read_text())
    assert asked == re.findall(rf"(?m)^{PREFIX}(\w+)=", about("On one machine"))
    for part in OURS.values():
        given = {name.removeprefix(PREFIX) for name in part["environment"]} | set(asked)
        needed = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
        needed |= {"REDIS_URL", "API_DATABASE_URL"}
        assert given >= needed - ({"DATABASE_URL"} if part is OURS["api"] else set())


def test_the_api_is_given_nothing_that_leads_past_the_second_wall() -> None:
    given = OURS["api"]["environment"]
    assert f"{PREFIX}DATABASE_URL" not in given
    assert all("POSTGRES_PASSWORD" not in value for value in given.values())
    # Compose gives a part all that is in .env, unless something else is said.
    assert (given["POSTGRES_PASSWORD"], given[f"{PREFIX}UPSTREAM_TOKEN"]) == ("", "")


def test_nothing_starts_before_the_migration_is_done() -> None:
    assert OURS["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("api", "worker"):
        assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_a_worker_gets_as_long_as_it_may_need_to_stop() -> None:
    longest = sum(Settings.model_fields[f"{what}_deadline_seconds"].default for what in ("submit", "webhook"))
    assert seconds(COMPOSE["worker"]["stop_grace_period"]) >= longest
    told = re.findall(
        r"(?:stop_grace_period: |worker\nspec:\n  terminationGracePeriodSeconds: )(\d+)", README
    )
    assert {*map(int, told)} == {seconds(COMPOSE["worker"]["stop_grace_period"])}


def test_the_api_gets_as_long_as_it_may_need_to_stop() -> None:
    assert seconds(COMPOSE["api"]["stop_grace_period"]) > GRACE_SECONDS
    assert f"for up to {GRACE_SECONDS} s" in about("Stopping")
    assert f"under {KEEP_ALIVE_SECONDS} s" in about("On several machines")


def test_the_probes_ask_what_the_api_answers() -> None:
    answered = {path for handler in health.HANDLERS for path in handler.paths}
    probed = set(re.findall(r"/health/\w+", README + last("HEALTHCHECK")))
    assert probed == answered


@pytest.mark.parametrize(("status", "exit_code"), [(200, 0), (503, 1)])
def test_the_health_check_is_content_with_200_alone(status: int, exit_code: int) -> None:
    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/live" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    with http.server.HTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.handle_request).start()
        code = check[-1].replace(last("EXPOSE"), str(server.server_port))
        assert subprocess.run([sys.executable, *check[1:-1], code], check=False).returncode == exit_code


def test_the_image_takes_nothing_that_it_is_not_to_have() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored, "what is not named stays out"
    copied = {step.words[0] for step in DOCKERFILE if step.name == "COPY" and "--from" not in step.rest}
    assert copied == {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
    installed = [step.rest for step in DOCKERFILE if step.name == "RUN" and "install" in step.rest]
    assert ["--require-hashes -r requirements.lock" in command for command in installed] == [True]


def test_the_image_is_not_run_by_root_and_stops_when_it_is_told() -> None:
    assert int(last("USER")) > 0
    assert f"user {last('USER')}" in about("On several machines")
    assert last("STOPSIGNAL") == "SIGTERM"


def test_the_versions_are_those_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = tuple(int(part) for part in project["requires-python"].removeprefix(">=").split("."))
    found = re.fullmatch(r"python:(\d+)\.(\d+)-slim-trixie AS base", DOCKERFILE[0].rest)
    assert found
    assert tuple(int(part) for part in found.groups()) >= oldest
    embedded = re.search(r"pginstall(\d+)", (ROOT / "service/dev/embedded.py").read_text())
    assert embedded
    assert COMPOSE["postgres"]["image"] == f"postgres:{embedded[1]}"


def test_what_is_to_be_watched_is_told_by_the_code() -> None:
    told = set(re.findall(r"`([a-z]+\.[a-z_]+|edit_jobs_\w+)`", about("What to watch")))
    assert len(told) > 10
    # The client library adds the ending of a counter's name.
    unknown = {name for name in told if f'"{name.removesuffix("_total")}"' not in CODE}
    assert not unknown
