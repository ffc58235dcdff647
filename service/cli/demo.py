"""`edit-jobs demo`: one edit job end to end, on real processes that are gone afterwards.

Everything shown was seen from outside: the timeline over the API, the webhook at the receiver, which
verifies it with the reference library, and the pictures at the URLs in the job's output.
"""

import asyncio
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from typer import Exit

from service.cli.backend import SAMPLE, Backend, Webhook
from service.cli.failures import CommandError
from service.cli.stopping import until_told
from service.cli.story import Story
from service.dev.processes import Process
from service.dev.stack import Stack

PICTURES = Path(".edit-jobs", "demo")
PROMPT = "Make it a rainy evening, with lights in the windows"

JOB_SECONDS = 30.0
"""Until the job has to be over; it takes about four."""
WEBHOOK_SECONDS = 10.0
"""From there until its webhook has to be here; it takes a fraction of one."""
LOOK_SECONDS = 0.1
LOG_LINES = 20

ENDS = ("job.completed", "job.failed", "job.cancelled", "job.expired")


def run() -> None:
    """Exit 0 if all of it happened, else with an error that names what did not."""
    story = Story()
    pictures = _empty(PICTURES)
    told = until_told(_demo(story, pictures))
    if told is not None:
        story.bad(f"Stopped by {told.name}; nothing is left running.")
        raise Exit(128 + told)
    story.good("Done. All of it is stopped and removed, but for the pictures.")


async def _demo(story: Story, pictures: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="edit-jobs-demo-") as folder:
        story.step("Starting all parts as processes of this machine, in a temporary folder")
        async with Stack(Path(folder), progress=story.part) as stack:
            await _one_job(story, stack, pictures)
            story.step("Stopping")


async def _one_job(story: Story, stack: Stack, pictures: Path) -> None:
    api, worker = stack.apis[0], stack.workers[0]
    story.step("Creating a tenant and a key for it")
    tenant = await stack.create_tenant("demo")
    key = await stack.create_key(tenant.name)
    async with Backend.at(api=stack.api_url, receiver=stack.receiver_url, key=key) as backend:
        await backend.trust(tenant.signing_secret)

        story.step(f"POST {stack.api_url}/v1/jobs")
        request = {
            "input": {"prompt": PROMPT, "image_urls": [SAMPLE]},
            "callback_url": f"{stack.receiver_url}/hook",
        }
        story.detail(json.dumps(request))
        with _blamed_on(api):
            job_id = (await backend.submit(request))["id"]
        story.detail(f"202, job {job_id}")

        story.step("What happens to it, from its timeline")
        with _blamed_on(worker):
            await _watch(story, backend, job_id)
            job = await backend.job(job_id)
            if job["status"] != "completed":
                raise CommandError(f"the job ended as {job['status']}: {json.dumps(job['error'])}")
            webhook = await _webhook(backend, job_id)
        story.step("Its webhook arrived, and the reference library of Standard Webhooks verifies it")
        story.detail(webhook.event.type, f"webhook-id {webhook.headers.get('webhook-id')}")

        story.step("The pictures, before and after")
        with _blamed_on(stack.simulator):
            await _save(
                story, backend, job, pictures=pictures, before=f"{stack.simulator_url}/samples/lake.png"
            )


async def _watch(story: Story, backend: Backend, job_id: str) -> None:
    """Show each entry of the timeline as it appears, until the job's end."""
    shown = 0
    try:
        async with asyncio.timeout(JOB_SECONDS):
            while True:
                entries = await backend.timeline(job_id)
                for entry in entries[shown:]:
                    story.detail(entry["type"], _brief(entry["data"]))
                shown = len(entries)
                if entries and entries[-1]["type"] in ENDS:
                    return
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        status = (await backend.job(job_id))["status"]
        raise CommandError(f"the job did not end within {JOB_SECONDS:g} s: it is {status}") from None


async def _webhook(backend: Backend, job_id: str) -> Webhook:
    """The first webhook about the job, once it is here and verified."""
    try:
        async with asyncio.timeout(WEBHOOK_SECONDS):
            while True:
                for webhook in await backend.new_webhooks():
                    if webhook.event.data.id != job_id:
                        continue
                    if not webhook.verified:
                        raise CommandError(f"the webhook's signature did not verify: {webhook.reason}")
                    return webhook
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise CommandError(f"no webhook arrived within {WEBHOOK_SECONDS:g} s of the job's end") from None


async def _save(story: Story, backend: Backend, job: dict[str, Any], *, pictures: Path, before: str) -> None:
    original = await backend.picture(before)
    results = [await backend.picture(url) for url in job["output"]["images"]]
    if original in results:
        raise CommandError("the picture after the edit is the one before it")
    named = {"before": original} | {f"after-{number}": result for number, result in enumerate(results, 1)}
    for name, content in named.items():
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            path = pictures / f"{name}.{str(picture.format).lower()}"
            path.write_bytes(content)
            story.detail(str(path), f"{picture.width} x {picture.height}")


@contextmanager
def _blamed_on(process: Process) -> Iterator[None]:
    """Let an error end with what the process said last."""
    try:
        yield
    except CommandError as error:
        said = "\n".join(f"  {line}" for line in process.output.splitlines()[-LOG_LINES:])
        raise CommandError(f"{error}\nThe log of {process.name} ends with:\n{said}") from error


def _empty(folder: Path) -> Path:
    """The folder for pictures, without those of the last time."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.*"):
        old.unlink()
    return folder


def _brief(data: dict[str, Any]) -> str:
    return "  ".join(f"{name}={value}" for name, value in data.items() if not isinstance(value, (dict, list)))
