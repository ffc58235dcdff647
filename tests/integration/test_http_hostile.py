"""What strangers' servers and names can do, at the level of the transport."""

import asyncio
import contextlib
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import httpx
import pytest
from harness.certificates import good_test

from service.http import NotSentError, Phase, Transport, UnansweredError, options
from service.webhooks.addresses import judge

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SHORT = options(deadline=0.3, max_bytes=16_384, beyond="cut")
CUT = options(deadline=5, max_bytes=16_384, beyond="cut")


@contextlib.asynccontextmanager
async def serving(
    answer: Answer, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that reads a request, answers, and keeps the connection; its port, and the heads it saw."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await answer(writer)
            await reader.read()
        writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1], heads
    finally:
        listening.close()


def saying(*parts: bytes, forever: bytes = b"", every: float = 0) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
        while forever:
            writer.write(forever)
            await writer.drain()
            await asyncio.sleep(every)

    return answer


def resolving(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """One answer after the other, the last one for ever."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


@pytest.mark.parametrize(
    "answer",
    [
        saying(b"HTTP/1.1 200 OK\r\n", forever=b"a: b\r\n", every=0.02),
        saying(b"HTTP/1.1 200 OK\r\nx: ", forever=b"y", every=0.02),
        saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n", forever=b"z", every=0.02),
        saying(forever=b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        saying(forever=b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", every=0.02),
        saying(),
    ],
    ids=["headers drip", "a header drips", "a body drips", "1xx flood", "1xx drip", "nothing"],
)
async def test_an_answer_that_never_ends_is_unanswered_at_the_deadline(answer: Answer) -> None:
    async with serving(answer) as (port, _), httpx.AsyncClient(transport=Transport()) as client:
        with pytest.raises(UnansweredError, match="deadline") as failure:
            await client.post(f"http://127.0.0.1:{port}/", content=b"{}", extensions=SHORT)
    assert failure.value.phase is Phase.READ


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 " + b"O" * 100_000 + b"\r\n\r\n",
    ],
    ids=["one header", "many headers", "status line"],
)
async def test_a_huge_head_is_unanswered(head: bytes) -> None:
    async with serving(saying(head)) as (port, _), httpx.AsyncClient(transport=Transport()) as client:
        with pytest.raises(UnansweredError) as failure:
            await client.post(f"http://127.0.0.1:{port}/", content=b"{}", extensions=options(deadline=5))
    assert failure.value.phase is Phase.READ
    assert len(failure.value.reason) <= 300


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]
)
async def test_of_an_endless_body_only_the_beginning_is_read(head: bytes) -> None:
    part = b"x" * 4096 if b"chunked" not in head else b"1000\r\n" + b"x" * 4096 + b"\r\n"
    transport = Transport(decompress=False)
    async with (
        serving(saying(head, forever=part)) as (port, _),
        httpx.AsyncClient(transport=transport) as client,
    ):
        answer = await client.post(f"http://127.0.0.1:{port}/", content=b"{}", extensions=CUT)
        assert answer.content == b"x" * 16_384
        too_long = options(deadline=5, max_bytes=1000)
        with pytest.raises(UnansweredError, match="longer than 1000 bytes"):
            await client.post(f"http://127.0.0.1:{port}/", content=b"{}", extensions=too_long)


async def test_after_a_cut_the_connection_is_not_used_again() -> None:
    body = b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n" + b"x" * 20_000
    transport = Transport(connections=1)
    async with serving(saying(body)) as (port, heads), httpx.AsyncClient(transport=transport) as client:
        for _ in range(3):
            answer = await client.post(f"http://127.0.0.1:{port}/", extensions=CUT)
            assert len(answer.content) == 16_384
    assert len(heads) == 3


async def test_a_gzip_bomb_is_never_inflated() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n".encode()
    async with serving(saying(head, bomb)) as (port, heads):
        async with httpx.AsyncClient(transport=Transport(decompress=False)) as client:
            answer = await client.post(f"http://127.0.0.1:{port}/", extensions=CUT)
            assert answer.content == bomb[:16_384]
        async with httpx.AsyncClient(transport=Transport()) as client:
            limited = options(deadline=5, max_bytes=100_000)
            with pytest.raises(UnansweredError, match="longer than"):
                await client.post(f"http://127.0.0.1:{port}/", extensions=limited)
    assert b"accept-encoding: identity\r\n" in heads[0]
    assert b"accept-encoding: gzip, deflate\r\n" in heads[1]


async def test_an_upgrade_nobody_asked_for_ends_the_connection() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
    transport = Transport(connections=1)
    async with serving(saying(switch)) as (port, _), httpx.AsyncClient(transport=transport) as client:
        for _ in range(2):
            answer = await client.post(f"http://127.0.0.1:{port}/", extensions=CUT)
            assert answer.status_code == 101


async def test_one_bad_address_refuses_the_whole_name() -> None:
    async with serving(saying(OK)) as (port, heads):
        transport = Transport(
            resolve=resolving(["127.0.0.1", "10.0.0.1"]), judge=judge([ipaddress.ip_network("127.0.0.0/8")])
        )
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(NotSentError, match="private") as failure:
                await client.post(f"http://two.test:{port}/", extensions=CUT)
    assert failure.value.phase is Phase.JUDGE
    assert heads == []


async def test_a_name_that_is_rebound_is_judged_at_each_resolution_and_resolved_once_each() -> None:
    async with serving(saying(OK)) as (port, heads):
        transport = Transport(
            resolve=resolving(["127.0.0.1"], ["169.254.169.254"]),
            judge=judge([ipaddress.ip_network("127.0.0.0/8")]),
            keepalive_seconds=0,
        )
        async with httpx.AsyncClient(transport=transport) as client:
            # Had the first request looked the name up a second time, it would have been refused.
            assert (await client.post(f"http://rebound.test:{port}/", extensions=CUT)).status_code == 200
            with pytest.raises(NotSentError, match="link-local"):
                await client.post(f"http://rebound.test:{port}/", extensions=CUT)
    assert [f"host: rebound.test:{port}".encode() in head.lower() for head in heads] == [True]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "localhost"]
)
async def test_literals_are_judged_too(host: str) -> None:
    transport = Transport(judge=judge([]))
    async with serving(saying(OK)) as (port, heads), httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(NotSentError, match="loopback") as failure:
            await client.post(f"http://{host}:{port}/", extensions=CUT)
    assert failure.value.phase is Phase.JUDGE
    assert heads == []


async def test_the_rule_knows_scheme_and_port() -> None:
    transport = Transport(resolve=resolving(["8.8.8.8"]), judge=judge([ipaddress.ip_network("10.0.0.0/8")]))
    async with httpx.AsyncClient(transport=transport) as client:
        for url in ("http://public.test/", "https://public.test:8000/"):
            with pytest.raises(NotSentError, match="only for allowed networks"):
                await client.post(url, extensions=CUT)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for good.test, with its key."""
    return good_test(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path) -> Transport:
    context = ssl.create_default_context(cafile=certificate)
    return Transport(resolve=resolving(["127.0.0.1"]), ssl_context=context)


@pytest.mark.parametrize("host", ["good.test", "good.test."])
async def test_tls_is_spoken_with_the_name_and_not_the_address(
    host: str, tls: ssl.SSLContext, certificate: Path
) -> None:
    names: list[str | None] = []
    tls.sni_callback = lambda _connection, name, _context: names.append(name)
    transport = trusting(certificate)
    async with (
        serving(saying(OK), tls=tls) as (port, heads),
        httpx.AsyncClient(transport=transport) as client,
    ):
        answer = await client.post(f"https://{host}:{port}/", extensions=options(deadline=5))
    assert answer.text == "ok"
    assert names == ["good.test"]
    assert f"host: {host}:{port}".encode() in heads[0].lower()


async def test_a_certificate_for_another_name_is_not_sent_to(tls: ssl.SSLContext, certificate: Path) -> None:
    transport = trusting(certificate)
    async with (
        serving(saying(OK), tls=tls) as (port, heads),
        httpx.AsyncClient(transport=transport) as client,
    ):
        with pytest.raises(NotSentError, match="ostname mismatch") as failure:
            await client.post(f"https://evil.test:{port}/", extensions=options(deadline=5))
    assert failure.value.phase is Phase.TLS
    assert heads == []


async def test_a_certificate_of_nobody_known_is_not_sent_to(tls: ssl.SSLContext) -> None:
    transport = Transport(resolve=resolving(["127.0.0.1"]))
    async with (
        serving(saying(OK), tls=tls) as (port, heads),
        httpx.AsyncClient(transport=transport) as client,
    ):
        with pytest.raises(NotSentError, match="verify") as failure:
            await client.post(f"https://good.test:{port}/", extensions=options(deadline=5))
    assert failure.value.phase is Phase.TLS
    assert heads == []


async def test_tls_before_1_2_is_not_sent_to(certificate: Path) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(certificate)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    transport = Transport(resolve=resolving(["127.0.0.1"]))
    async with (
        serving(saying(OK), tls=old) as (port, heads),
        httpx.AsyncClient(transport=transport) as client,
    ):
        with pytest.raises(NotSentError) as failure:
            await client.post(f"https://good.test:{port}/", extensions=options(deadline=5))
    assert failure.value.phase is Phase.TLS
    assert "verify" not in failure.value.reason  # it did not come as far as the certificate
    assert heads == []


@pytest.mark.parametrize("hello", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["silence", "plain http"])
async def test_a_server_that_does_not_speak_tls_is_not_sent_to(hello: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(hello)
            await reader.read()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(transport=Transport(resolve=resolving(["127.0.0.1"]))) as client:
        with pytest.raises(NotSentError) as failure:
            await client.post(f"https://good.test:{port}/", extensions=SHORT)
    listening.close()
    assert failure.value.phase is Phase.TLS
