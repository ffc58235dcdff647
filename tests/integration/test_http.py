import asyncio
import contextlib
import gc
import gzip
import socket
import struct
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx
import pytest

from service.http import NotSentError, Phase, Transport, UnansweredError, options

Answer = Callable[["Server", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Keeps what arrived: the number of connections, and the head and body of each request."""

    def __init__(
        self, answer: Callable[["Server", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ):
        self.answer = answer
        self.connections = 0
        self.requests: list[tuple[bytes, bytes]] = []
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.answer(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.gone.set()
            writer.close()

    async def take(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
        self.requests.append((head, body))
        self.asked.set()


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


async def polite(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await server.take(reader)
        writer.write(OK)


async def silent(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.take(reader)
    await reader.read()


async def closing_at_once(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def closing_after_the_request(
    server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await server.take(reader)


async def resetting(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.take(reader)
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def saying(*parts: bytes) -> Answer:
    async def answer(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.writelines(parts)
        await writer.drain()

    return answer


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


async def test_a_request_and_its_answer_pass_unchanged() -> None:
    raw = (
        b"HTTP/1.1 202 Fine\r\ncontent-type: text/plain\r\nset-cookie: a=b\r\n"
        b"x-two: 1\r\nx-two: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )
    async with serving(saying(raw)) as server, httpx.AsyncClient(transport=Transport()) as client:
        answer = await client.post(f"{server.url}/hook", content=b'{"a":1}', headers={"x-own": "yes"})
        assert (answer.status_code, answer.reason_phrase, answer.text) == (202, "Fine", "hello")
        assert answer.headers.get_list("x-two") == ["1", "2"]
        assert "set-cookie" not in answer.headers
        assert not client.cookies
    [(head, body)] = server.requests
    assert head.startswith(b"POST /hook HTTP/1.1\r\n")
    assert body == b'{"a":1}'
    names = [line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:] if line]
    assert sorted(names) == sorted(
        [b"host", b"accept", b"accept-encoding", b"connection", b"user-agent", b"x-own", b"content-length"]
    )


@pytest.mark.parametrize(
    "target", ["/a%2Fb%2fc?x=%7e&y=a+b%20c", "/~a/%E2%82%AC?", "/a//b?q=%%25|", "/?a=b=c&&"]
)
async def test_escapes_in_a_url_are_sent_as_they_are(target: str) -> None:
    async with serving(polite) as server, httpx.AsyncClient(transport=Transport()) as client:
        await client.get(server.url + target)
    assert server.requests[0][0].split(b" ")[1] == target.encode()


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    moved = saying(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n")
    async with serving(moved) as server, httpx.AsyncClient(transport=Transport()) as client:
        answer = await client.get(server.url)
    assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1:9/")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "answer",
    [
        silent,
        closing_at_once,
        closing_after_the_request,
        resetting,
        saying(b"SSH-2.0-OpenSSH_9.6\r\n"),
        saying(b"HTTP/1.1 200 OK\r\ncontent-le"),
        saying(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
        saying(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        saying(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
    ],
)
async def test_what_was_written_and_not_answered_is_unanswered(method: str, answer: Answer) -> None:
    async with serving(answer) as server, httpx.AsyncClient(transport=Transport()) as client:
        with pytest.raises(UnansweredError) as failure:
            await client.request(method, server.url, content=b"", extensions=options(deadline=0.3))
        assert failure.value.phase in (Phase.READ, Phase.WRITE)
        assert failure.value.request.method == method
    assert server.connections == 1
    assert len(server.requests) <= 1


async def test_a_body_the_server_does_not_read_is_given_up_at_the_deadline() -> None:
    async def unread(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stopped.wait()

    stopped = asyncio.Event()
    async with serving(unread) as server, httpx.AsyncClient(transport=Transport()) as client:
        content = (b"x" * 65536 for _ in range(160))
        with pytest.raises(UnansweredError) as failure:
            await client.post(server.url, content=b"".join(content), extensions=options(deadline=0.3))
        stopped.set()
    assert failure.value.phase is Phase.WRITE


async def test_an_answer_that_comes_before_the_body_is_read_is_an_answer() -> None:
    async def hasty(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Much\r\ncontent-length: 0\r\n\r\n")
        await server.gone.wait()

    async with serving(hasty) as server, httpx.AsyncClient(transport=Transport()) as client:
        answer = await client.post(server.url, content=bytes(10_000_000), extensions=options(deadline=5))
        server.gone.set()
    assert answer.status_code == 413


async def test_a_refused_connection_is_not_sent() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        async with httpx.AsyncClient(transport=Transport()) as client:
            with pytest.raises(NotSentError) as failure:
                await client.post(f"http://127.0.0.1:{bound.getsockname()[1]}/")
    assert failure.value.phase is Phase.CONNECT
    assert "refused" in failure.value.reason


async def test_a_connection_that_is_never_accepted_is_not_sent() -> None:
    with socket.socket() as listening, contextlib.ExitStack() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):  # the backlog
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        async with httpx.AsyncClient(transport=Transport()) as client:
            with pytest.raises(NotSentError) as failure:
                await client.post(
                    f"http://127.0.0.1:{listening.getsockname()[1]}/", extensions=options(deadline=0.3)
                )
    assert failure.value.phase is Phase.CONNECT
    assert "deadline" in failure.value.reason


@pytest.mark.parametrize("host", ["nobody.invalid", "a..b", "a" * 64 + ".test"])
async def test_a_name_without_an_address_is_not_sent(host: str) -> None:
    async with httpx.AsyncClient(transport=Transport()) as client:
        with pytest.raises(NotSentError) as failure:
            await client.post(f"http://{host}/")
    assert failure.value.phase is Phase.RESOLVE


async def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with httpx.AsyncClient(transport=Transport(resolve=hang)) as client:
        with pytest.raises(NotSentError) as failure:
            await client.post("http://slow.test/", extensions=options(deadline=0.1))
    assert failure.value.phase is Phase.RESOLVE


async def test_an_empty_resolution_is_not_sent() -> None:
    async with httpx.AsyncClient(transport=Transport(resolve=resolving())) as client:
        with pytest.raises(NotSentError) as failure:
            await client.post("http://empty.test/")
    assert failure.value.phase is Phase.RESOLVE


@pytest.mark.parametrize("limits", [{"connections": 1}, {"per_host": 1}])
async def test_waiting_for_a_connection_is_part_of_the_deadline(limits: dict[str, int]) -> None:
    async with serving(silent) as server, httpx.AsyncClient(transport=Transport(**limits)) as client:  # type: ignore[arg-type]
        first = asyncio.create_task(client.post(server.url, extensions=options(deadline=5)))
        await server.asked.wait()
        with pytest.raises(NotSentError) as failure:
            await client.post(server.url, extensions=options(deadline=0.1))
        assert failure.value.phase is Phase.POOL
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


@pytest.mark.parametrize("content", [b"", b"body"])
@pytest.mark.parametrize("warm", [False, True])
async def test_after_not_after_no_byte_is_written(content: bytes, warm: bool) -> None:
    async with serving(polite) as server, httpx.AsyncClient(transport=Transport()) as client:
        if warm:
            await client.get(server.url)
        late = options(deadline=1, not_after=time.monotonic() - 0.001)
        with pytest.raises(NotSentError) as failure:
            await client.post(server.url, content=content, extensions=late)
        assert failure.value.phase is Phase.TOO_LATE
        before = len(server.requests)
        answer = await client.post(
            server.url, extensions=options(deadline=1, not_after=time.monotonic() + 60)
        )
        assert answer.status_code == 200
        assert len(server.requests) == before + 1
    assert before == int(warm)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_kept_connection_that_the_server_closes_on_is_not_tried_again(method: str) -> None:
    async def once(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(OK)
        await server.take(reader)  # the second on this connection gets no answer

    async with serving(once) as server, httpx.AsyncClient(transport=Transport()) as client:
        await client.get(server.url)
        with pytest.raises(UnansweredError):
            await client.request(method, server.url, content=b"x")
    assert server.connections == 1
    assert len(server.requests) == 2


async def test_a_connection_is_kept_and_used_again_only_so_long() -> None:
    async with serving(polite) as server:
        async with httpx.AsyncClient(transport=Transport(keepalive_seconds=60)) as client:
            await client.get(server.url)
            await client.get(server.url)
        assert server.connections == 1
        async with httpx.AsyncClient(transport=Transport(keepalive_seconds=0)) as client:
            await client.get(server.url)
            await client.get(server.url)
        assert server.connections == 3


@pytest.mark.parametrize("answer", [silent, saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")])
async def test_a_cancelled_caller_leaves_no_connection_behind(answer: Answer) -> None:
    async def patient(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if server.connections > 1:
            await polite(server, reader, writer)
        await answer(server, reader, writer)
        await reader.read()

    transport = Transport(connections=1)
    async with serving(patient) as server, httpx.AsyncClient(transport=transport) as client:
        caller = asyncio.create_task(client.post(server.url, content=b"x"))
        await server.asked.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await asyncio.wait_for(server.gone.wait(), 5)
        assert (await client.post(server.url, extensions=options(deadline=5))).status_code == 200


@pytest.mark.parametrize("steps", range(4))
async def test_a_caller_cancelled_as_its_answer_ends_takes_no_other_request_along(steps: int) -> None:
    async def in_two_parts(
        server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if server.connections == 1:
            await server.take(reader)
            writer.write(OK[:-1])
            held.append(writer)
        await polite(server, reader, writer)

    held: list[asyncio.StreamWriter] = []
    async with serving(in_two_parts) as server, httpx.AsyncClient(transport=Transport()) as client:
        cancelled = asyncio.create_task(client.post(server.url, content=b"1"))
        await server.asked.wait()
        for _ in range(10):  # until the head was read and the body is waited for
            await asyncio.sleep(0)
        held[0].write(OK[-1:])
        for _ in range(steps):  # one of them falls between the end of the answer and its reader
            await asyncio.sleep(0)
        cancelled.cancel()
        answer = await client.get(server.url, extensions=options(deadline=5))
        assert answer.status_code == 200
        await asyncio.wait([cancelled])


async def test_closing_ends_what_is_under_way() -> None:
    async with serving(silent) as server:
        transport = Transport(connections=1)
        client = httpx.AsyncClient(transport=transport)
        sent = asyncio.create_task(client.post(server.url))
        await server.asked.wait()
        waiting = asyncio.create_task(client.post(server.url))
        for _ in range(3):
            await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(UnansweredError):
            await sent
        with pytest.raises(NotSentError) as failure:
            await waiting
        assert failure.value.phase is Phase.POOL
        del client, transport
        gc.collect()  # whatever was left open would warn, and warnings are errors here


async def test_a_header_that_would_split_is_not_sent() -> None:
    async with serving(polite) as server, httpx.AsyncClient(transport=Transport()) as client:
        with pytest.raises(NotSentError):
            await client.post(server.url, content=b"x", headers={"x-bad": "a\r\nb: c"})
    assert server.requests == []


async def test_no_text_about_a_failure_names_the_urls_query() -> None:
    """Callers put tokens there, and these texts are logged and shown."""

    async def garbage(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(b"NOT HTTP\r\n\r\n")
        await writer.drain()

    async with serving(garbage) as server, httpx.AsyncClient(transport=Transport()) as client:
        with pytest.raises(UnansweredError) as failure:
            await client.get(f"{server.url}/hook?token=secret")
    assert "secret" not in str(failure.value)
    assert "not HTTP" in str(failure.value)


async def test_what_comes_unasked_on_a_kept_connection_is_no_answer_to_the_next_request() -> None:
    async def talkative(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if server.connections == 1:
            await server.take(reader)
            writer.write(OK + OK.replace(b"ok", b"no").replace(b"\r\n", b"\r\nretry-after: 9\r\n", 1))
        await polite(server, reader, writer)

    async with serving(talkative) as server, httpx.AsyncClient(transport=Transport()) as client:
        for _ in range(2):
            answer = await client.get(server.url, extensions=options(deadline=5))
            assert answer.text == "ok"
            assert answer.headers.raw == [(b"content-length", b"2")]
    assert server.connections == 2


async def test_what_comes_unasked_later_closes_the_kept_connection() -> None:
    async def talkative(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.take(reader)
        writer.write(OK)
        await more.wait()
        writer.write(OK.replace(b"ok", b"no"))
        await reader.read()

    more = asyncio.Event()
    async with serving(talkative) as server, httpx.AsyncClient(transport=Transport()) as client:
        await client.get(server.url)
        more.set()
        await asyncio.wait_for(server.gone.wait(), 5)
        answer = await client.get(server.url, extensions=options(deadline=5))
        assert answer.text == "ok"
    assert server.connections == 2


async def test_a_connection_that_stays_idle_is_closed() -> None:
    transport = Transport(keepalive_seconds=0.1)
    async with serving(polite) as server, httpx.AsyncClient(transport=transport) as client:
        await client.get(server.url)
        await asyncio.wait_for(server.gone.wait(), 5)


async def test_those_who_wait_for_a_connection_are_served_in_order_and_none_is_forgotten() -> None:
    async with serving(polite) as server, httpx.AsyncClient(transport=Transport(connections=1)) as client:
        callers = [asyncio.create_task(client.post(server.url, content=b"%d" % n)) for n in range(6)]
        await asyncio.sleep(0)
        callers[2].cancel()
        await asyncio.wait(callers)
        assert [body for _, body in server.requests] == [b"0", b"1", b"3", b"4", b"5"]
    assert server.connections == 1


async def test_an_interim_answer_is_not_the_answer_and_trailers_are_no_headers() -> None:
    raw = (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nx: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-late: 1\r\n\r\n"
    )
    async with serving(saying(raw)) as server, httpx.AsyncClient(transport=Transport()) as client:
        answer = await client.get(server.url)
    assert (answer.status_code, answer.text, answer.headers["x"]) == (200, "ok", "1")
    assert "link" not in answer.headers


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n"]
)
async def test_a_body_without_a_length_ends_with_its_connection(head: bytes) -> None:
    async with (
        serving(saying(head, b"to the ", b"end")) as server,
        httpx.AsyncClient(transport=Transport()) as client,
    ):
        assert (await client.get(server.url)).text == "to the end"


async def test_the_answer_to_a_head_has_no_body() -> None:
    head = saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
    async with serving(head) as server, httpx.AsyncClient(transport=Transport()) as client:
        answer = await client.head(server.url, extensions=options(deadline=5))
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"plain", mtime=0)),
        ("deflate", zlib.compress(b"plain")),
        ("deflate", zlib.compress(b"plain")[2:-4]),
    ],
)
async def test_what_was_compressed_is_handed_on_as_it_was_before(coding: str, body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    async with serving(saying(head, body)) as server, httpx.AsyncClient(transport=Transport()) as client:
        assert (await client.get(server.url)).text == "plain"


@pytest.mark.parametrize("coding", ["identity", "br"])
async def test_an_encoding_nobody_asked_for_loses_nothing_of_the_answer(coding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: 5\r\n\r\nplain".encode()
    async with serving(saying(head)) as server, httpx.AsyncClient(transport=Transport()) as client:
        assert (await client.get(server.url)).content == b"plain"


async def test_what_is_not_compressed_as_it_says_is_unanswered() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope"
    async with serving(saying(head)) as server, httpx.AsyncClient(transport=Transport()) as client:
        with pytest.raises(UnansweredError, match="decompressed"):
            await client.get(server.url)


@pytest.mark.parametrize("url", ["ftp://a.test/", "http:///nowhere"])
async def test_what_is_no_url_of_a_server_is_not_sent(url: str) -> None:
    with pytest.raises(NotSentError):
        await Transport().handle_async_request(httpx.Request("GET", url))
