"""A caller's webhook endpoint: checks signatures with the reference library and remembers every POST.

`POST /hook` answers 204. `?status=500&times=2` answers 500 to the first two POSTs of each webhook-id,
`?hang=3` waits three seconds first. `GET /_receiver/deliveries` tells what came, with `?after=7` all but
the first seven, and `POST /_receiver/secret {"secret": "whsec_…"}` adds a secret: any one that fits makes
a POST verified.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol

import msgspec
from aiohttp import web

from service.dev.serving import MissingExtraError, serve_until_signalled, serving

# Deliveries remembered; the oldest are forgotten first.
KEPT = 200_000
USUAL = {"status": 500, "times": 0, "hang": 0}


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One POST as it arrived, and why it is trusted or not."""

    at: str
    path: str
    headers: dict[str, str]
    body: str
    verified: bool
    reason: str | None
    """Why it was not verified."""
    answered: int


class Verifier(Protocol):
    def verify(self, data: bytes, headers: dict[str, str], *, json_parse: bool) -> object: ...


class SecretBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    secret: str


class Receiver:
    """`on_delivery` is called with each delivery before it is answered, in the loop that serves."""

    def __init__(
        self, secrets: Iterable[str] = (), *, on_delivery: Callable[[Delivery], object] = lambda _: None
    ) -> None:
        self.deliveries: deque[Delivery] = deque(maxlen=KEPT)
        self._came = 0
        self._verifiers: list[Verifier] = []
        self._posts: Counter[tuple[str, str]] = Counter()
        self._on_delivery = on_delivery
        _verifier_class()  # a missing extra is told at the start, not at the first POST
        for secret in secrets:
            self.trust(secret)

    def trust(self, secret: str) -> None:
        """Raises ValueError for what is no secret."""
        self._verifiers.append(_verifier(secret))

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.post("/hook", self._hook),
                web.get("/_receiver/deliveries", self._list),
                web.post("/_receiver/secret", self._add_secret),
            ]
        )
        return application

    async def _hook(self, http: web.Request) -> web.Response:
        try:
            script = {name: float(http.query.get(name, usual)) for name, usual in USUAL.items()}
        except ValueError as wrong:
            raise web.HTTPBadRequest(text=str(wrong)) from wrong
        body = await http.read()
        post = (http.path_qs, http.headers.get("webhook-id", ""))
        self._posts[post] += 1
        scripted = self._posts[post] <= script["times"]
        reason = self._doubt(body, dict(http.headers))
        delivery = Delivery(
            at=datetime.now(UTC).isoformat(timespec="microseconds"),
            path=http.path_qs,
            headers={name.lower(): value for name, value in http.headers.items()},
            body=body.decode(errors="replace"),
            verified=reason is None,
            reason=reason,
            answered=int(script["status"]) if scripted else 204,
        )
        self.deliveries.append(delivery)
        self._came += 1
        self._on_delivery(delivery)
        if script["hang"]:
            await asyncio.sleep(script["hang"])
        return web.Response(status=delivery.answered)

    def _doubt(self, body: bytes, headers: dict[str, str]) -> str | None:
        """Why the POST is not to be trusted; None if one of the secrets signed it."""
        reason = "no secret is known"
        for verifier in self._verifiers:
            try:
                verifier.verify(body, headers, json_parse=False)
            except Exception as doubt:  # malformed headers make the library raise anything
                reason = f"{type(doubt).__name__}: {doubt}"
            else:
                return None
        return reason

    async def _list(self, http: web.Request) -> web.Response:
        try:
            after = int(http.query.get("after", 0))
        except ValueError as wrong:
            raise web.HTTPBadRequest(text=str(wrong)) from wrong
        forgotten = self._came - len(self.deliveries)
        wanted = list(islice(self.deliveries, max(0, after - forgotten), None))
        return web.Response(body=msgspec.json.encode({"data": wanted}), content_type="application/json")

    async def _add_secret(self, http: web.Request) -> web.Response:
        try:
            self.trust(msgspec.json.decode(await http.read(), type=SecretBody).secret)
        except (msgspec.DecodeError, ValueError) as wrong:
            raise web.HTTPBadRequest(text=str(wrong)) from wrong
        return web.Response(status=204)


@asynccontextmanager
async def running(
    receiver: Receiver | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """A receiver in this loop; yields its base URL."""
    async with serving((receiver or Receiver()).application(), host=host, port=port) as url:
        yield url


def run(*, port: int) -> None:
    """A receiver as this process, until SIGINT or SIGTERM."""
    serve_until_signalled(running(port=port))


def _verifier_class() -> Callable[[str], Verifier]:
    try:
        # In an extra: needed to start a receiver, not to import the command that can.
        from standardwebhooks import Webhook  # noqa: PLC0415
    except ImportError as missing:
        raise MissingExtraError("The receiver", "standardwebhooks") from missing
    return Webhook


def _verifier(secret: str) -> Verifier:
    try:
        return _verifier_class()(secret)
    except Exception as wrong:
        raise ValueError("a secret is whsec_ and base64") from wrong
