"""The Model API over HTTP, the pictures it hands out, and what it saw under `/_sim/`."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from service.dev.serving import MissingExtraError, serve_until_signalled, serving
from service.dev.simulator import audit, replies
from service.dev.simulator.model_api import Answer, ModelApi
from service.dev.simulator.options import Options, changed
from service.dev.simulator.replies import NoReply, Reply

if TYPE_CHECKING:
    from service.dev.simulator.gallery import Gallery

PICTURE_NAME = re.compile(r"(\d)\.([a-z]+)")


class Simulator:
    """One upstream to be served. `clock` gives Unix seconds; nothing happens in between two calls."""

    def __init__(self, options: Options | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._api = ModelApi(options or Options(), clock=clock)
        self._gallery = _gallery()

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.post("/v1/models/{model_id:.+}", self._submit),
                web.get("/v1/models/{model_id:.+}", self._model),
                web.get("/v1/requests/{request_id}/status", self._status),
                web.get("/v1/requests/{request_id}/result", self._result),
                web.post("/v1/requests/{request_id}/cancel", self._cancel),
                web.get("/outputs/{request_id}/{name}", self._output),
                web.get(r"/samples/{name:[\w-]{1,64}}.png", self._sample),
                web.get("/_sim/requests", self._requests),
                web.get("/_sim/stats", self._statistics),
                web.post("/_sim/faults", self._change_faults),
            ]
        )
        return application

    async def _submit(self, http: web.Request) -> web.Response:
        body, model_id = await http.read(), http.match_info["model_id"]
        await self._arrived("submit")
        answer = self._api.submit(body, model_id=model_id, token=_token(http), base=_base(http))
        return _sent(http, answer)

    async def _model(self, http: web.Request) -> web.Response:
        await self._arrived("model")
        return _sent(http, self._api.model(http.match_info["model_id"], token=_token(http)))

    async def _status(self, http: web.Request) -> web.Response:
        await self._arrived("status")
        request_id = http.match_info["request_id"]
        return _sent(http, self._api.status(request_id, token=_token(http), base=_base(http)))

    async def _result(self, http: web.Request) -> web.Response:
        await self._arrived("result")
        answer = self._api.result(
            http.match_info["request_id"],
            token=_token(http),
            base=_base(http),
            with_cost=http.query.get("include_cost") == "true",
        )
        return _sent(http, answer)

    async def _cancel(self, http: web.Request) -> web.Response:
        await self._arrived("cancel")
        return _sent(http, self._api.cancel(http.match_info["request_id"], token=_token(http)))

    async def _arrived(self, call: str) -> None:
        """A client that gives up while it waits here is not heard of: its submit is taken all the same."""
        self._api.ledger.calls[call] += 1
        if self._api.faults.latency:
            await asyncio.sleep(self._api.faults.latency)

    async def _output(self, http: web.Request) -> web.Response:
        self._api.ledger.calls["output"] += 1
        request = self._api.ledger.request(http.match_info["request_id"])
        name = PICTURE_NAME.fullmatch(http.match_info["name"])
        if request is None or name is None:
            raise web.HTTPNotFound
        edit, index = request.edit(), int(name[1])
        if name[2] != edit.format or index >= edit.count:
            raise web.HTTPNotFound
        # A signed URL: one that was decoded and encoded again on its way is another URL.
        if http.raw_path != replies.output_path(request.id, index, edit.format):
            raise web.HTTPForbidden(text="The signature does not match the URL.")
        content = await self._gallery.output(request.id, edit, index=index)
        return web.Response(body=content, content_type=f"image/{edit.format}")

    async def _sample(self, http: web.Request) -> web.Response:
        content = await self._gallery.sample(http.match_info["name"])
        return web.Response(body=content, content_type="image/png")

    async def _requests(self, _: web.Request) -> web.Response:
        return _json(audit.requests(self._api.ledger, now=self._api.now()))

    async def _statistics(self, _: web.Request) -> web.Response:
        return _json(audit.statistics(self._api.ledger, now=self._api.now()))

    async def _change_faults(self, http: web.Request) -> web.Response:
        try:
            self._api.faults = changed(self._api.faults, await http.read())
        except msgspec.DecodeError as wrong:
            raise web.HTTPBadRequest(text=str(wrong)) from wrong
        return web.Response(status=204)


@asynccontextmanager
async def running(
    options: Options | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """A simulator in this loop; yields its base URL."""
    async with serving(Simulator(options).application(), host=host, port=port) as url:
        yield url


def run(options: Options, *, host: str, port: int, announce: Callable[[str], object]) -> None:
    """A simulator as this process, until SIGINT or SIGTERM; `announce` gets its URL once it listens."""
    serve_until_signalled(running(options, host=host, port=port), announce=announce)


def _gallery() -> "Gallery":
    try:
        # Pillow is in an extra: needed to start a simulator, not to import the command that can.
        from service.dev.simulator.gallery import Gallery  # noqa: PLC0415
    except ImportError as missing:
        raise MissingExtraError("The simulator", "pillow") from missing
    return Gallery()


def _sent(http: web.Request, answer: Answer) -> web.Response:
    match answer:
        case Reply():
            return web.Response(
                status=answer.status,
                body=answer.body,
                content_type=answer.content_type,
                headers=answer.headers,
            )
        case NoReply.CLOSED:
            if http.transport is not None:
                http.transport.close()
            return web.Response()


def _base(http: web.Request) -> str:
    return f"{http.scheme}://{http.host}"


def _token(http: web.Request) -> str | None:
    scheme, _, token = http.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
