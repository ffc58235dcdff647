"""The promises about what is told: to the job's own URL, to its tenant's endpoint, and on the feed."""

import hmac
import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from chaos.evidence import END_ENTRIES, ENDS, Case

TOLD_ON_REQUEST = ("job.submitted", "job.in_progress")


def told(case: Case) -> Iterator[str]:
    job = case.job
    if job is None or job["status"] not in ENDS:
        return
    url = case.asked.body.get("callback_url")
    endpoint = case.asked.tenant.endpoint
    to_url = [one for one in case.deliveries if one["path"] != endpoint]
    if url and not _is_end_taken(to_url):
        yield "nobody took word of its end"
    if not _is_end_taken(one for one in case.deliveries if one["path"] == endpoint):
        yield "its tenant's endpoint took no word of its end"
    if url and job["delivery"]["status"] != "delivered":
        yield f"its delivery is {job['delivery']['status']}"
    wanted = [kind for kind in TOLD_ON_REQUEST if kind in case.asked.body.get("callback_events", ())]
    sent = {json.loads(one["body"])["type"] for one in to_url}
    if url and (silent := set(wanted) & set(case.types) - sent):
        yield f"its caller wanted to hear of {', '.join(silent)}, and did not"
    if not url and to_url:
        yield "it was told to somebody, and nobody was to be told"


def told_the_same(case: Case) -> Iterator[str]:
    numbers = {entry["sequence"]: entry["type"] for entry in case.timeline}
    bodies: dict[str, str] = {}
    types: Counter[str] = Counter()
    for one in case.deliveries:
        headers, event = one["headers"], json.loads(one["body"])
        if headers["webhook-id"] not in bodies:
            types[event["type"]] += 1
        if bodies.setdefault(headers["webhook-id"], one["body"]) != one["body"]:
            yield f"{headers['webhook-id']} was sent with different bytes"
        if not one["verified"] or not _signed(one, _secret(case, one)):
            yield f"a signature does not verify: {one['reason'] or 'it was signed for another'}"
        if numbers.get(event["data"]["sequence"]) != event["type"]:
            yield f"{event['type']} was told as number {event['data']['sequence']}, which it is not"
        if case.asked.tenant.id not in one["path"] or event["data"]["tenant_id"] != case.asked.tenant.id:
            yield "it was told to another tenant"
        if event["type"] in END_ENTRIES and case.job:
            yield from _differences(event, case.job)
    if sum(types[end] for end in END_ENTRIES) > 1 or any(count > 1 for count in types.values()):
        yield f"it was told under several ids: {dict(types)}"


def fed(case: Case) -> Iterator[str]:
    """The feed of its tenant, read on and on while the faults were played."""
    job = case.job
    if job is None or job["status"] not in ENDS:
        return
    ends = [event for event in case.fed if event["type"] in END_ENTRIES]
    if [event["type"] for event in ends] != [f"job.{job['status']}"]:
        yield f"it is {job['status']}, and its ends on the feed are {[event['type'] for event in ends]}"
    for event in ends:
        yield from _differences(event, job)
    numbers = [event["data"]["sequence"] for event in case.fed]
    if numbers != sorted(set(numbers)):
        yield f"its events are on the feed in the order {numbers}"
    if missing := {one["headers"]["webhook-id"] for one in case.deliveries} - {one["id"] for one in case.fed}:
        yield f"sent, and not on the feed: {', '.join(missing)}"


def _differences(event: dict[str, Any], job: dict[str, Any]) -> Iterator[str]:
    if event["type"] != f"job.{job['status']}":
        yield f"it is {job['status']}, and {event['type']} was told"
    names = ("id", "status", "output", "error", "finished_at", "upstream_request_id", "cancel", "external_id")
    for name in names:
        if event["data"][name] != job[name]:
            yield f"{name} was told as {event['data'][name]!r} and reads {job[name]!r}"


def _is_end_taken(deliveries: Iterable[dict[str, Any]]) -> bool:
    ends = (one for one in deliveries if json.loads(one["body"])["type"] in END_ENTRIES)
    return any(200 <= one["answered"] < 300 for one in ends)


def _secret(case: Case, delivery: dict[str, Any]) -> str:
    tenant = case.asked.tenant
    return tenant.endpoint_secret if delivery["path"] == tenant.endpoint else tenant.secret


def _signed(delivery: dict[str, Any], secret: str) -> bool:
    """By the specification, and by this secret: the receiver trusts those of all."""
    headers = delivery["headers"]
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{delivery['body']}"
    key = b64decode(secret.removeprefix("whsec_"))
    signature = b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
    return f"v1,{signature}" in headers["webhook-signature"].split()
