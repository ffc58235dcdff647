"""The README says what the code says, and what it shows to copy works."""

import re
import shutil
import subprocess
import textwrap
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic_core import PydanticUndefined
from standardwebhooks import WebhookVerificationError

from service import errors
from service.cli.application import simulator
from service.cli.backend import SAMPLE
from service.cli.dev import FOLDER, TO_TRY
from service.jobs.envelope import Envelope
from service.jobs.lifecycle import ACCEPTED_EVENT, ENDS, MOVES, Status
from service.settings import PREFIX, Settings
from service.tenants.keys import ADMIN, SCOPES
from service.webhooks.signing import Signer, jwk, new_secret

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BODY = b'{"type": "job.completed"}'
GO_TEST = """
package webhooks

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
)

func TestReadme(t *testing.T) {
	var given struct {
		X, Secret, Body string
		Sent            []map[string]string
	}
	text, _ := os.ReadFile("given.json")
	if err := json.Unmarshal(text, &given); err != nil {
		t.Fatal(err)
	}
	for number, headers := range given.Sent {
		header := http.Header{}
		for name, value := range headers {
			header.Set(name, value)
		}
		for _, body := range []string{given.Body, given.Body + " "} {
			wanted := number == 0 && body == given.Body
			if IsOurs([]byte(body), header, given.Secret) != wanted {
				t.Error("secret", number, body)
			}
			if IsSignedBy(given.X, []byte(body), header) != wanted {
				t.Error("key", number, body)
			}
		}
	}
}
"""


def section(title: str) -> str:
    """From that heading to the next one of any level."""
    _, found, rest = README.partition(f"# {title}\n")
    assert found, f"no heading {title}"
    # A comment in a shell block begins like a heading of the first level, of which there are no more.
    return re.split(r"(?m)^##+ ", rest)[0]


def rows(title: str) -> list[list[str]]:
    """The cells of the section's tables, without their heads."""
    lines = section(title).splitlines()
    table = [line for line in lines if line.startswith("|")]
    heads = {table[number - 1] for number, line in enumerate(table) if line.startswith("|---")}
    kept = [line for line in table if line not in heads and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in kept]


def block(title: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", section(title), re.DOTALL)
    assert found, f"no {language} in {title}"
    return found[1]


def copied(title: str) -> dict[str, Any]:
    """What the section's Python defines."""
    names: dict[str, Any] = {}
    exec(compile(block(title, "python"), "README.md", "exec", dont_inherit=True), names)
    return names


def signed(
    body: bytes, *, keys: Sequence[Ed25519PrivateKey] = (), secret: str | None = None, ago: int = 0
) -> dict[str, str]:
    """The headers of a message that was sent so many seconds ago."""
    event_id, at = "01a20345-7da5-70e7-8ec3-cdc4ce27b819", int(datetime.now(UTC).timestamp()) - ago
    signer = Signer((secret or new_secret(),), tuple(keys))
    signature = signer.sign(body, event_id=event_id, timestamp=at)
    return {"webhook-id": event_id, "webhook-timestamp": str(at), "webhook-signature": signature}


def published(key: Ed25519PrivateKey) -> dict[str, str]:
    return jwk("01a20345-6acb-7082-83cf-f413fd34394f", key.public_key().public_bytes_raw())


def test_the_first_screen_names_the_two_commands_and_make_has_them() -> None:
    commands = re.findall(r"(?m)^make (\w+)", block("edit-jobs", "sh"))
    assert commands == ["demo", "test"]
    targets = set(re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text()))
    assert set(re.findall(r"`make (\w+)`", README)) | set(commands) <= targets


def test_the_lines_to_try_are_those_that_dev_prints() -> None:
    shown = block("Try it", "sh")
    key = re.search(r"Bearer (\S+)'", shown)
    hook = re.search(r'"callback_url": "([^"]+)"', shown)
    assert key
    assert hook
    printed = TO_TRY.format(
        api="http://127.0.0.1:8000", key=key[1], hook=hook[1], sample=SAMPLE, folder=FOLDER
    )
    assert shown.strip() == textwrap.dedent(printed).strip()


def test_the_diagram_shows_every_move_and_no_other() -> None:
    shown = re.findall(r"(\S+) --> (\S+?)(?:: (\S+))?\n", block("How a job lives", "mermaid"))
    moves = [(state, move.reaches, move.event) for move in MOVES for state in move.leaves]
    borders = [("[*]", Status.ACCEPTED, ACCEPTED_EVENT), *((end, "[*]", "") for end in ENDS)]
    assert sorted(shown) == sorted((str(a), str(b), event) for a, b, event in moves + borders)


def test_every_state_is_explained_in_the_order_of_a_jobs_life() -> None:
    assert [row[0] for row in rows("How a job lives")] == [f"`{status}`" for status in Status]


def test_the_fields_of_a_request_are_those_of_its_schema() -> None:
    schema = Envelope(
        allowed_networks=(), default_expires_in=Settings.model_fields["default_expires_in"].default
    ).schema.document
    expected = [
        [
            f"`{name}`",
            f"`{msgspec.json.encode(field['default']).decode()}`" if "default" in field else "required",
            field["description"],
        ]
        for name, field in schema["properties"].items()
    ]
    assert [[name, default, meaning] for name, _, default, meaning in rows("The request")] == expected
    assert schema["required"] == ["input"]


def test_every_error_is_listed_with_its_status_and_title() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ServiceError)
    ]
    assert sorted(rows("Errors")) == sorted(
        [str(kind.status), f"`{kind.code}`", kind.title()] for kind in kinds
    )
    assert [kind.code for kind in kinds if kind.retryable] == ["rate_limited", "queue_full", "unavailable"]


def test_every_scope_is_listed() -> None:
    assert [row[0] for row in rows("Keys")] == [f"`{scope}`" for scope in (*SCOPES, ADMIN)]


def test_the_python_that_verifies_accepts_what_we_sign_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = new_secret()
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    event = copied("Verify")["event"]
    headers = signed(BODY, secret=secret)
    assert event(BODY, headers) == {"type": "job.completed"}
    with pytest.raises(WebhookVerificationError):
        event(BODY + b" ", headers)


def test_the_python_that_verifies_with_a_public_key_accepts_what_we_sign_and_nothing_else() -> None:
    is_ours = copied("Verify without a secret")["is_ours"]
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    both = {"keys": [jwk("a", other.public_key().public_bytes_raw()), published(key)]}
    sent = signed(BODY, keys=[key])
    assert is_ours(BODY, sent, both)
    assert not is_ours(BODY + b" ", sent, both)
    assert not is_ours(BODY, sent, {"keys": both["keys"][:1]})
    assert not is_ours(BODY, signed(BODY, keys=[key], ago=301), both)
    assert not is_ours(BODY, signed(BODY), both)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not here")
def test_the_node_that_verifies_with_a_public_key_accepts_what_we_sign_and_nothing_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "ours.mjs").write_text(block("Verify without a secret", "js"))
    (tmp_path / "ask.mjs").write_text(
        'import { readFileSync } from "node:fs"; import { isOurs } from "./ours.mjs";'
        "const { jwks, sent } = JSON.parse(readFileSync(0));"
        "console.log(JSON.stringify(sent.map(([body, headers]) => isOurs(body, headers, jwks))));"
    )
    key = Ed25519PrivateKey.generate()
    body, headers = BODY.decode(), signed(BODY, keys=[key])
    sent = [
        [body, headers],
        [body + " ", headers],
        [body, signed(BODY, keys=[key], ago=301)],
        [body, signed(BODY)],
    ]
    given = msgspec.json.encode({"jwks": {"keys": [published(key)]}, "sent": sent})
    printed = subprocess.run(["node", "ask.mjs"], cwd=tmp_path, input=given, check=True, capture_output=True)
    assert msgspec.json.decode(printed.stdout) == [True, False, False, False]


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not here")
def test_the_go_that_verifies_accepts_what_we_sign_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module webhooks\n\ngo 1.19\n")
    for name, title in (("secret.go", "Verify"), ("key.go", "Verify without a secret")):
        (tmp_path / name).write_text(block(title, "go"))
    key, secret = Ed25519PrivateKey.generate(), new_secret()
    sent = [signed(BODY, keys=[key], secret=secret), signed(BODY, keys=[key], secret=secret, ago=301)]
    given = {"x": published(key)["x"], "secret": secret, "body": BODY.decode(), "sent": sent}
    (tmp_path / "given.json").write_bytes(msgspec.json.encode(given))
    (tmp_path / "readme_test.go").write_text(GO_TEST)
    ran = subprocess.run(["go", "test", "./..."], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_settings_are_those_of_the_code_with_their_defaults_and_descriptions() -> None:
    expected = [
        [f"`{PREFIX}{name.upper()}`", shown_default(field.default), field.description]
        for name, field in Settings.model_fields.items()
    ]
    assert rows("Settings") == expected


def shown_default(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, tuple):
        value = ",".join(str(part) for part in value)
    return "empty" if value == "" else f"`{value}`"


def test_the_house_has_the_layers_that_imports_are_held_to() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    shown = [re.findall(r"`(\w+)`", row[0]) for row in rows("The house")[: len(layers)]]
    assert shown == [layer.split(" | ") for layer in layers]


def test_every_word_of_the_simulator_is_listed() -> None:
    words = [row[0].strip("`") for row in rows("The house") if row[0].startswith("`sim:")]
    assert words == re.findall(r"sim:[a-z0-9]+(?:=\d+)?", simulator.__doc__ or "")
