"""`edit-jobs dev`: the whole service until Ctrl-C, with data, logs and a key that are there the next time."""

import asyncio
import os
import secrets
from contextlib import suppress
from pathlib import Path

import msgspec

from service.cli import console
from service.cli.backend import SAMPLE, Backend, Webhook
from service.cli.failures import CommandError
from service.cli.ports import make_sure_free
from service.cli.stopping import until_told
from service.cli.story import Story
from service.dev.processes import ProcessError
from service.dev.stack import HOST, Stack

FOLDER = Path(".edit-jobs", "dev")
LOOK_SECONDS = 0.3

TO_TRY = r"""
  AUTH='Authorization: Bearer {key}'

  # Create a job, and keep its id
  JOB=$(curl -sw '\n' {api}/v1/jobs -H "$AUTH" -H 'Content-Type: application/json' -d '{{
    "input": {{"prompt": "Make it winter", "image_urls": ["{sample}"]}},
    "callback_url": "{hook}"}}' | tee /dev/stderr | sed 's/.*"id":"\([^"]*\)".*/\1/')

  curl -sw '\n' {api}/v1/jobs/$JOB -H "$AUTH"           # read it
  curl -sw '\n' {api}/v1/jobs/$JOB/events -H "$AUTH"    # its timeline
  curl -sw '\n' '{api}/v1/jobs?limit=5' -H "$AUTH"      # the newest jobs

  # One that waits for 20 s, to be cancelled before it runs; sim:fail in the prompt makes one fail
  SLOW=$(curl -sw '\n' {api}/v1/jobs -H "$AUTH" -H 'Content-Type: application/json' -d '{{
    "input": {{"prompt": "Make it summer sim:queue=20", "image_urls": ["{sample}"]}}
    }}' | tee /dev/stderr | sed 's/.*"id":"\([^"]*\)".*/\1/')
  curl -sw '\n' -X POST {api}/v1/jobs/$SLOW/cancel -H "$AUTH"

  # Jobs that were submitted outlive their worker: the next one goes on with them
  while curl -s {api}/v1/jobs/$JOB -H "$AUTH" | grep -qE '"(accepted|submitting)"'; do sleep 0.2; done
  kill -9 $(cat {folder}/worker-0.pid)
"""


class Caller(msgspec.Struct, frozen=True):
    """The tenant that is ready to be used."""

    tenant: str
    key: str
    signing_secret: str


def run(*, port: int) -> None:
    """Until SIGINT or SIGTERM, then exit 0: to end is what it was asked for."""
    make_sure_free(HOST, port)
    story = Story()
    until_told(_dev(story, port=port))
    story.step("Stopped; data and logs are kept.")


async def _dev(story: Story, *, port: int) -> None:
    story.step(f"Starting; data and logs are in {FOLDER}")
    async with Stack(FOLDER, port=port, durable=True, progress=story.part) as stack:
        try:
            caller = await _caller(stack)
            addresses = {"api": stack.api_url, "receiver": stack.receiver_url}
            async with Backend.at(**addresses, key=caller.key) as backend:
                await backend.trust(caller.signing_secret)
                _introduce(stack, caller)
                story.step(
                    "Ready. What dies is started again; webhooks are shown as they arrive. Ctrl-C ends it."
                )
                while True:
                    await _look_after(story, stack, backend, caller)
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            story.step("Stopping")


async def _look_after(story: Story, stack: Stack, backend: Backend, caller: Caller) -> None:
    """Start again what died, foundations first, and show what came."""
    for part in stack.parts:
        if not part.running:
            story.bad(f"{part.name} died: starting it again")
            await stack.start(part)
            if part is stack.receiver:
                backend.receiver_forgot()
                await backend.trust(caller.signing_secret)
    try:
        came = await backend.new_webhooks()
    except CommandError:
        return  # the receiver died since: the next look finds it
    for webhook in came:
        _show(story, webhook)


async def _caller(stack: Stack) -> Caller:
    """The tenant of the last time if its key still works, else a new one."""
    file = stack.folder / "caller.json"
    with suppress(FileNotFoundError, msgspec.DecodeError):
        kept = msgspec.json.decode(file.read_bytes(), type=Caller)
        async with Backend.at(api=stack.api_url, receiver=stack.receiver_url, key=kept.key) as backend:
            if await backend.is_known():
                return kept
    try:
        tenant = await stack.create_tenant("dev")
    except ProcessError:  # there is one, whose secret nobody can read any more
        tenant = await stack.create_tenant(f"dev-{secrets.token_hex(2)}")
    key = await stack.create_key(tenant.name)
    caller = Caller(tenant=tenant.name, key=key, signing_secret=tenant.signing_secret)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(msgspec.json.encode(caller))
    return caller


def _introduce(stack: Stack, caller: Caller) -> None:
    console.out.print()
    console.facts(
        "The service is up.",
        {
            "API": stack.api_url,
            "key": f"{caller.key}   (tenant {caller.tenant})",
            "webhooks to": f"{stack.receiver_url}/hook",
            "signing secret": caller.signing_secret,
        },
    )
    console.out.print("\nTo try, in another terminal:", style="bold")
    console.out.print(
        TO_TRY.format(
            api=stack.api_url, hook=f"{stack.receiver_url}/hook", key=caller.key, sample=SAMPLE, folder=FOLDER
        )
    )


def _show(story: Story, webhook: Webhook) -> None:
    attempt = webhook.headers.get("webhook-attempt", "?")
    doubt = "verified" if webhook.verified else f"NOT VERIFIED: {webhook.reason}"
    story.detail(
        webhook.event.type, f"webhook of job {webhook.event.data.id}, attempt {attempt}, signature {doubt}"
    )
