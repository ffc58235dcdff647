"""The Model API's calls without their HTTP: who is refused, what is taken, what is read."""

import time
from collections.abc import Callable
from typing import Any, Final, assert_never

import msgspec

from service.dev.simulator import replies, script
from service.dev.simulator.ledger import Ledger, Request, Submit, fingerprint
from service.dev.simulator.options import Faults, Options
from service.dev.simulator.replies import NoReply, Reply
from service.dev.simulator.script import Verdict

Answer = Reply | NoReply

MODEL = "blackforestlabs/flux-2/dev/edit"
"""The one that there is."""


class ModelApi:
    """One account's upstream. `clock` gives Unix seconds; all that happens to a request follows from it."""

    def __init__(self, options: Options, *, clock: Callable[[], float] = time.time) -> None:
        self._options = options
        self.faults = Faults()
        self.ledger: Final = Ledger()
        self.now: Final = clock

    def submit(self, body: bytes, *, model_id: str, token: str | None, base: str) -> Answer:
        answer = self._refusal(token) or self._unfit(body, model_id)
        request: Request | None = None
        if answer is None:
            answer, request = self._judge(body, base)
        self.ledger.note(
            Submit(
                at=self.now(),
                model_id=model_id,
                body=body,
                token=token and fingerprint(token),
                answered=answer.status if isinstance(answer, Reply) else None,
                request=request,
            )
        )
        return answer

    def status(self, request_id: str, *, token: str | None, base: str) -> Answer:
        request = self._find(request_id, token)
        if not isinstance(request, Request):
            return request
        request.status_reads += 1
        if self.faults.reads:
            return replies.ODD_READS[self.faults.reads]
        truth = replies.status(request, base=base, now=self.now())
        oddity = request.script.status_oddity(request.status_reads)
        return replies.odd(oddity, truth) if oddity else truth

    def result(self, request_id: str, *, token: str | None, base: str, with_cost: bool) -> Answer:
        request = self._find(request_id, token)
        if not isinstance(request, Request):
            return request
        request.result_reads += 1
        if self.faults.reads:
            return replies.ODD_READS[self.faults.reads]
        truth = replies.result(request, base=base, now=self.now(), with_cost=with_cost)
        oddity = request.script.result_oddity(request.result_reads)
        return replies.odd(oddity, truth) if oddity else truth

    def cancel(self, request_id: str, *, token: str | None) -> Answer:
        request = self._find(request_id, token)
        if not isinstance(request, Request):
            return request
        request.cancels += 1
        now = self.now()
        took = self.ledger.cancel(request, now=now)
        return replies.cancelled(request, took=took, now=now)

    def model(self, model_id: str, *, token: str | None) -> Answer:
        return self._refusal(token) or (replies.model(MODEL) if model_id == MODEL else replies.UNKNOWN_MODEL)

    def _refusal(self, token: str | None) -> Answer | None:
        if self.faults.down:
            return NoReply.CLOSED
        if self.faults.busy:
            return replies.BUSY
        if not token or (self.faults.tokens is not None and token not in self.faults.tokens):
            return replies.NO_ACCOUNT
        return None

    def _unfit(self, body: bytes, model_id: str) -> Reply | None:
        """Only what a run cannot do without is checked; unknown and odd fields are accepted silently."""
        if model_id != MODEL:
            return replies.UNKNOWN_MODEL
        if self.faults.no_balance:
            return replies.NO_BALANCE
        try:
            fields = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return replies.invalid([(["body"], "Input should be a valid JSON object", "json_invalid")])
        faults: list[tuple[list[str], str, str]] = []
        if not isinstance(fields.get("prompt"), str):
            faults.append((["body", "prompt"], "A string is required", "string_type"))
        urls = fields.get("image_urls")
        if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
            faults.append((["body", "image_urls"], "At least one image URL is required", "list_type"))
        return replies.invalid(faults) if faults else None

    def _judge(self, body: bytes, base: str) -> tuple[Answer, Request | None]:
        prompt = msgspec.json.decode(body)["prompt"]
        plot = script.read(prompt, queue=self._options.queue_seconds, run=self._options.run_seconds)
        verdict = plot.verdict(self.ledger.seen_before(body) if plot.counts_repeats else 0)
        match verdict:
            case Verdict.TAKEN | Verdict.LOST:
                request = self.ledger.take(body, script=plot, now=self.now())
                lost = verdict is Verdict.LOST
                return (NoReply.CLOSED if lost else replies.accepted(request, base=base)), request
            case Verdict.REJECTED:
                return replies.REJECTED, None
            case Verdict.BUSY:
                return replies.BUSY, None
            case Verdict.BROKEN:
                return replies.BROKEN, None
            case Verdict.CLOSED:
                return NoReply.CLOSED, None
            case _:
                assert_never(verdict)

    def _find(self, request_id: str, token: str | None) -> Request | Answer:
        refusal = self._refusal(token)
        if refusal is not None:
            return refusal
        if not replies.REQUEST_ID.fullmatch(request_id):
            return replies.MALFORMED_ID
        return self.ledger.request(request_id) or replies.NOT_FOUND
