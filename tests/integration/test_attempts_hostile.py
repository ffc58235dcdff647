"""What strangers can do to one attempt: each ends in time, costs no memory, and reaches nothing inside."""

import asyncio
import contextlib
import gzip
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from harness.certificates import good_test

from service.http import Transport
from service.ids import uuid7
from service.webhooks.addresses import judge
from service.webhooks.attempt import KEPT_ALIVE_SECONDS, MOST_KEPT, Attempt, connect, post
from service.webhooks.schedule import Answered, Forbidden, TimedOut, Unreachable
from service.webhooks.signing import Signer
from service.webhooks.store import Claimed

DEADLINE = 0.5
GRACE = 1.5
SIGNER = Signer(("whsec_" + "A" * 43 + "=",))
"""Seconds that a busy machine may add."""
MOST_MEMORY = 2_000_000
"""Bytes that an attempt may take at its worst: the answers are without end."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOOPBACK = [ip_network("127.0.0.0/8")]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def saying(*parts: bytes, forever: bytes = b"", every: float = 0.0) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
        while forever:
            writer.write(forever)
            await writer.drain()
            await asyncio.sleep(every)
        await reader.read()

    return talk


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def delivery(url: str) -> Claimed:
    return Claimed(
        id=uuid7(),
        epoch=1,
        attempt=1,
        past_attempts=0,
        gives_up_at=NOW + timedelta(days=4),
        tenant_id=uuid7(),
        mode="live",
        job_id=uuid7(),
        endpoint_id=None,
        url=url,
        origin="",
        event_id=uuid7(),
        type="job.completed",
        body=b"{}",
        happened_at=NOW,
        at=NOW,
    )


def resolving(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """One answer after the other, the last one for ever."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


def calling(*answers: Sequence[str], **options: Any) -> Transport:
    """As senders have it, but for the addresses that names lead to."""
    return Transport(
        connections=4,
        keepalive_seconds=KEPT_ALIVE_SECONDS,
        decompress=False,
        judge=options.pop("judge", judge(LOOPBACK)),
        resolve=resolving(*(answers or [["127.0.0.1"]])),
        **options,
    )


async def attempted(transport: Transport, url: str) -> Attempt:
    """One attempt, which ends in time and takes no memory to speak of."""
    tracemalloc.start()
    begun = time.monotonic()
    try:
        attempt = await post(transport, delivery(url), signer=SIGNER, deadline=DEADLINE)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert time.monotonic() - begun < DEADLINE + GRACE
    assert len(attempt.record.response) <= MOST_KEPT
    assert len(attempt.record.error or "") <= 300
    return attempt


HEAD = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(20_000_000))
NEVER_ENDING = {
    "silence": mute,
    "no answer": saying(),
    "headers drip": saying(HEAD, forever=b"a: b\r\n", every=0.02),
    "one header drips": saying(HEAD + b"x: ", forever=b"y", every=0.02),
    "a body drips": saying(HEAD + b"content-length: 9999\r\n\r\n", forever=b"z", every=0.02),
    "a body in chunks drips": saying(
        HEAD + b"transfer-encoding: chunked\r\n\r\n", forever=b"1\r\nz\r\n", every=0.02
    ),
    "1xx flood": saying(forever=b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "1xx drip": saying(forever=b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", every=0.02),
}
OVERSIZED = {
    "one huge header": saying(HEAD + b"x: " + b"y" * 500_000 + b"\r\n\r\n"),
    "a header without end": saying(HEAD + b"x: ", forever=b"y" * 65536),
    "headers without end": saying(HEAD, forever=b"x: y\r\n" * 10_000),
    "a status line without end": saying(b"HTTP/1.1 200 ", forever=b"O" * 65536),
    "no HTTP at all": saying(forever=b"\0" * 65536),
}
CUT = {
    "a body without end": saying(HEAD + b"\r\n", forever=b"x" * 65536),
    "chunks without end": saying(
        HEAD + b"transfer-encoding: chunked\r\n\r\n", forever=b"8000\r\n" + b"x" * 32768 + b"\r\n"
    ),
    "a gzip bomb": saying(
        HEAD + f"content-encoding: gzip\r\ncontent-length: {len(BOMB)}\r\n\r\n".encode(), BOMB
    ),
}


@pytest.mark.parametrize("talk", NEVER_ENDING.values(), ids=NEVER_ENDING)
async def test_an_answer_that_never_ends_is_a_time_out(talk: Talk) -> None:
    async with serving(talk) as port, calling() as transport:
        attempt = await attempted(transport, f"http://hostile.test:{port}/")
    assert attempt.outcome == TimedOut()
    assert attempt.record.status_code is None


@pytest.mark.parametrize("talk", OVERSIZED.values(), ids=OVERSIZED)
async def test_an_oversized_head_is_no_answer(talk: Talk) -> None:
    async with serving(talk) as port, calling() as transport:
        attempt = await attempted(transport, f"http://hostile.test:{port}/")
    assert attempt.outcome in (Unreachable(), TimedOut())
    assert attempt.record.status_code is None


@pytest.mark.parametrize("talk", CUT.values(), ids=CUT)
async def test_of_a_body_only_the_beginning_is_read_and_nothing_is_inflated(talk: Talk) -> None:
    async with serving(talk) as port, calling() as transport:
        attempt = await attempted(transport, f"http://hostile.test:{port}/")
    assert attempt.outcome == Answered(200)
    assert len(attempt.record.response) == MOST_KEPT
    if talk is CUT["a gzip bomb"]:
        assert attempt.record.response == BOMB[:MOST_KEPT]


async def test_a_name_that_never_resolves_is_a_time_out() -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async with Transport(judge=judge(()), resolve=resolve) as transport:
        attempt = await attempted(transport, "https://slow.test/")
    assert attempt.outcome == TimedOut()


@contextlib.contextmanager
def an_internal_listener() -> Any:
    """Something inside, which nobody may connect to; yields its port and checks that nobody did."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1]
        with pytest.raises(BlockingIOError):
            server.accept()


def for_any_port(address: str, scheme: str, _port: int) -> str | None:
    """The rule of production; but the listener cannot have port 443, which alone would be reason enough."""
    return judge(())(address, scheme, 443)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.215.14", "127.0.0.1"],
        ["127.0.0.1", "93.184.215.14"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%eth0"],
        ["0.0.0.0"],
    ],
    ids=" ".join,
)
async def test_a_name_with_an_address_inside_is_not_connected_to_at_all(addresses: list[str]) -> None:
    with an_internal_listener() as port:
        async with calling(addresses, judge=for_any_port) as way:
            attempt = await attempted(way, f"https://hostile.test:{port}/")
    assert attempt.outcome == Forbidden()
    # What is behind it is nobody's business.
    assert attempt.record.error == "the address must not be called"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "localhost"])
async def test_however_it_is_written_what_is_inside_is_not_connected_to(host: str) -> None:
    with an_internal_listener() as port:
        async with connect(connections=4, allowed=()) as transport:
            attempt = await attempted(transport, f"https://{host}:{port}/")
    assert attempt.outcome == Forbidden()


async def test_a_name_that_leads_elsewhere_the_next_time_is_judged_again_and_looked_up_once_each() -> None:
    with an_internal_listener() as inside:
        async with serving(saying(OK)) as port:
            # The first answer is good for the first attempt only, and a second lookup in it would be refused.
            rebound = calling(["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"])
            async with rebound as transport:
                first = await attempted(transport, f"http://rebound.test:{port}/")
                assert first.outcome == Answered(200)
                second = await attempted(transport, f"http://rebound.test:{inside}/")
    assert second.outcome == Forbidden()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_inside_is_logged_without_secrets_and_not_followed(status: int) -> None:
    with an_internal_listener() as inside:
        target = f"http://user:hush@127.0.0.1:{inside}/admin?token=hush"
        head = f"HTTP/1.1 {status} Moved\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n".encode()
        async with serving(saying(head)) as port, calling() as transport:
            attempt = await attempted(transport, f"http://hostile.test:{port}/")
    assert attempt.outcome == Answered(status)
    assert attempt.record.error == f"HTTP {status} to http://127.0.0.1:{inside}/admin"


async def test_a_refresh_or_a_cookie_is_forgotten() -> None:
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(2)
            writer.write(
                OK.replace(b"\r\n\r\n", b"\r\nset-cookie: a=b\r\nrefresh: 0; url=http://127.0.0.1/\r\n\r\n")
            )

    async with serving(talk) as port, calling() as transport:
        for _ in range(2):
            assert (await attempted(transport, f"http://hostile.test:{port}/")).outcome == Answered(200)
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with an_internal_listener() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        async with serving(saying(OK)) as port, calling() as transport:
            assert (await attempted(transport, f"http://hostile.test:{port}/")).outcome == Answered(200)


async def test_a_certificate_for_another_name_is_not_sent_to(tmp_path: Any) -> None:
    certificate = good_test(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    async with serving(saying(OK), tls=server) as port, calling(ssl_context=trusting) as transport:
        assert (await attempted(transport, f"https://good.test:{port}/")).outcome == Answered(200)
        other = await attempted(transport, f"https://evil.test:{port}/")
    assert other.outcome == Unreachable()
    assert "ostname mismatch" in (other.record.error or "")


async def test_many_hostile_receivers_at_once_end_together() -> None:
    begun = time.monotonic()
    async with serving(NEVER_ENDING["headers drip"]) as port:
        transport = Transport(connections=50, decompress=False, judge=judge(LOOPBACK))
        async with transport:
            url = f"http://127.0.0.1:{port}/"
            attempts = await asyncio.gather(
                *(post(transport, delivery(url), signer=SIGNER, deadline=DEADLINE) for _ in range(50))
            )
    assert {type(attempt.outcome) for attempt in attempts} == {TimedOut}
    assert time.monotonic() - begun < DEADLINE + 2 * GRACE


async def test_what_a_receiver_says_can_be_stored_whatever_it_is() -> None:
    nasty = b"HTTP/1.1 302 \0\xff\r\nlocation: http://\xff\xfe\0/?\r\ncontent-length: 3\r\n\r\n\0\xff\xd8"
    async with serving(saying(nasty)) as port, calling() as transport:
        attempt = await attempted(transport, f"http://hostile.test:{port}/")
    words = attempt.record.error or ""
    assert "\0" not in words
    words.encode()
    assert replace(attempt.record, error=None).response in (b"", b"\0\xff\xd8")


async def test_names_whose_servers_never_answer_hold_up_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    real = socket.getaddrinfo

    def lookup(host: str, *arguments: Any, **named: Any) -> Any:
        if host.startswith("slow"):
            released.wait(10)
            raise OSError("no such name")
        return real("127.0.0.1", *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    tenant_slots = 50
    async with serving(saying(OK)) as port, connect(connections=200, allowed=LOOPBACK) as transport:
        slow = [
            asyncio.create_task(
                post(transport, delivery(f"https://slow-{number}.test/"), signer=SIGNER, deadline=5)
            )
            for number in range(tenant_slots)
        ]
        await asyncio.sleep(0)
        try:
            attempt = await post(transport, delivery(f"http://well.test:{port}/"), signer=SIGNER, deadline=1)
        finally:
            released.set()
            await asyncio.gather(*slow)
    assert attempt.outcome == Answered(200)
