"""What we send is verified by libraries that are not ours, in Python and in Node."""

import asyncio
import base64
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import standardwebhooks
import svix
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from harness.applications import application
from litestar import Litestar

from service.database import Database
from service.dev.receiver import Delivery, Receiver
from service.dev.receiver import running as running_receiver
from service.webhooks import keychain, service_keys

ENDPOINTS = "/v1/webhook-endpoints"
README = Path(__file__).parents[3] / "README.md"
NODE = Path(__file__).parents[2] / "e2e" / "node"


class Sent:
    """A message as it arrived, and a secret that it has to be verified with."""

    def __init__(self, secret: str, delivery: Delivery) -> None:
        self.secret, self.body, self.headers = secret, delivery.body, delivery.headers

    def kinds(self) -> list[str]:
        return [part.partition(",")[0] for part in self.headers["webhook-signature"].split()]


@pytest.fixture
async def app(new_settings: Any) -> AsyncIterator[Litestar]:
    async with application(new_settings(webhook_allowed_networks="127.0.0.0/8")) as app:
        yield app


@pytest.fixture
async def messages(
    api: httpx.AsyncClient, database: Database, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[Sent]]:
    """Plain, during a rotation, with `v1a` beside, and during a rotation of secret and key."""
    monkeypatch.setattr(keychain, "REMEMBERED_SECONDS", -1.0)
    receiver = Receiver()

    async def send(endpoint: dict[str, Any], *secrets: str) -> list[Sent]:
        assert (await api.post(f"{ENDPOINTS}/{endpoint['id']}/test")).json()["delivered"]
        return [Sent(secret, receiver.deliveries[-1]) for secret in secrets]

    async def rotate(endpoint: dict[str, Any]) -> str:
        secret: str = (await api.post(f"{ENDPOINTS}/{endpoint['id']}/rotate-secret")).json()["secret"]
        return secret

    async with running_receiver(receiver) as url:
        plain = (await api.post(ENDPOINTS, json={"url": f"{url}/hook?a"})).json()
        both = (await api.post(ENDPOINTS, json={"url": f"{url}/hook?b", "signing": "v1a"})).json()
        sent = {"plain": await send(plain, plain["secret"]), "v1a beside": await send(both, both["secret"])}
        sent["rotation"] = await send(plain, plain["secret"], await rotate(plain))
        fresh = await rotate(both)
        async with database.transaction() as connection:
            await service_keys.rotate(connection, app.state.parts.vault, grace_seconds=60, actor="test")
        sent["rotation with v1a"] = await send(both, both["secret"], fresh)
    return sent


async def test_every_message_is_signed_as_it_says(messages: dict[str, list[Sent]]) -> None:
    assert {name: sent[0].kinds() for name, sent in messages.items()} == {
        "plain": ["v1"],
        "v1a beside": ["v1", "v1a"],
        "rotation": ["v1", "v1"],
        "rotation with v1a": ["v1", "v1", "v1a", "v1a"],
    }


async def test_the_libraries_of_python_verify_every_message(messages: dict[str, list[Sent]]) -> None:
    for sent in (one for some in messages.values() for one in some):
        standardwebhooks.Webhook(sent.secret).verify(sent.body.encode(), sent.headers)
        svix.Webhook(sent.secret).verify(sent.body, sent.headers)
        with pytest.raises(svix.WebhookVerificationError):
            svix.Webhook(sent.secret).verify(sent.body + " ", sent.headers)


async def test_v1a_alone_is_verified_with_the_published_keys(
    api: httpx.AsyncClient, messages: dict[str, list[Sent]]
) -> None:
    """Those that were published before the rotation too: a receiver may have kept them."""
    published = (await api.get("/.well-known/webhook-keys.json")).json()["keys"]
    assert len(published) == 2
    before = published[:1]
    for name, keys in (
        ("v1a beside", before),
        ("rotation with v1a", before),
        ("rotation with v1a", published),
    ):
        sent = messages[name][0]
        signed = f"{sent.headers['webhook-id']}.{sent.headers['webhook-timestamp']}.{sent.body}".encode()
        assert verifies(signed, sent.headers["webhook-signature"], keys)
        assert not verifies(signed + b" ", sent.headers["webhook-signature"], keys)


async def test_the_libraries_of_node_verify_every_message(
    api: httpx.AsyncClient, messages: dict[str, list[Sent]]
) -> None:
    if shutil.which("npm") is None:
        pytest.skip("verified with Python's packages; those of npm need Node.js, which is not here")
    sent = [one for some in messages.values() for one in some]
    given = {
        "messages": [{"secret": one.secret, "body": one.body, "headers": one.headers} for one in sent],
        "jwks": (await api.get("/.well-known/webhook-keys.json")).json(),
    }
    with tempfile.TemporaryDirectory(prefix="edit-jobs-node-") as folder:
        shutil.copytree(NODE, folder, dirs_exist_ok=True)
        await run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent", folder=folder)
        answers = json.loads(await run("node", "witnesses.mjs", folder=folder, given=json.dumps(given)))
        await run_the_readmes(folder, sent[0])
    libraries = ["standardwebhooks", "svix", "replicate"]
    assert len(answers) == len(sent)
    for one, answer in zip(sent, answers, strict=True):
        witnesses = [*libraries, "node:crypto"] if "v1a" in one.kinds() else libraries
        assert answer == {
            "v1a": one.kinds().count("v1a"), "accepted": witnesses, "refused": witnesses,
        }  # fmt: skip


async def run_the_readmes(folder: str, sent: Sent) -> None:
    """What the README says to copy accepts it, and throws at anything else."""
    await asyncio.to_thread((Path(folder) / "readme.mjs").write_text, block("Verify", "js"))
    ask = (
        'import { event } from "./readme.mjs"; import { readFileSync } from "node:fs";'
        "const { body, headers } = JSON.parse(readFileSync(0)); console.log(event(body, headers).type);"
        'try { event(body + " ", headers); console.log("accepted"); } catch { console.log("refused"); }'
    )
    await asyncio.to_thread((Path(folder) / "ask.mjs").write_text, ask)
    given = json.dumps({"body": sent.body, "headers": sent.headers})
    printed = await run("env", f"WEBHOOK_SECRET={sent.secret}", "node", "ask.mjs", folder=folder, given=given)
    assert printed.split() == ["webhook.test", "refused"]


def block(title: str, language: str) -> str:
    section = README.read_text().partition(f"### {title}\n")[2]
    return section.partition(f"```{language}\n")[2].partition("```")[0]


def verifies(signed: bytes, signature: str, keys: list[dict[str, str]]) -> bool:
    for part in signature.split():
        kind, _, text = part.partition(",")
        for key in keys if kind == "v1a" else []:
            public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
            try:
                public.verify(base64.b64decode(text), signed)
            except InvalidSignature:
                continue
            return True
    return False


async def run(*command: str, folder: str, given: str = "") -> str:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe)
    printed, said = await child.communicate(given.encode())
    assert child.returncode == 0, said.decode()
    return printed.decode()
