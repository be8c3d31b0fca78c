"""The HTTP client over real sockets: framing, the pool, what is tried again, and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.errors import UpstreamError
from proxy.readers.client import ClientResponse, HttpClient
from proxy.readers.client_whole import Whole
from tests.edge.support import Script, Upstream, answering, until

HOST = ((b"Host", b"a"),)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def upstream(script: Script, **options: Any) -> AsyncIterator[tuple[HttpClient, Upstream]]:
    server = Upstream(script)
    await server.start()
    settings = {"connect_timeout": 1.0, "idle_timeout": 5.0, "max_connections": 8, "max_idle": 8}
    client = HttpClient(f"http://127.0.0.1:{server.port}", **{**settings, **options})
    try:
        yield client, server
    finally:
        await client.close()
        await server.stop()


async def whole(response: ClientResponse) -> bytes:
    return b"".join([piece async for piece in response])


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_the_head_is_sent_as_given_and_read_as_sent() -> None:
    seen: list[bytes] = []
    answer = b"HTTP/1.1 201 Made It\r\nx-A: 1\r\nX-a: 2\r\nContent-Length: 2\r\n\r\nok"
    async with upstream(answering(answer, seen)) as (client, _):
        response = await client.send("GET", "/p?q=%zz", (*HOST, (b"x-B", b"1"), (b"X-b", b"")), None)
        assert await whole(response) == b"ok"
        assert (response.status, response.reason, response.version) == (201, b"Made It", "1.1")
        assert response.headers == ((b"x-A", b"1"), (b"X-a", b"2"), (b"Content-Length", b"2"))
        assert seen == [b"GET /p?q=%zz HTTP/1.1\r\nHost: a\r\nx-B: 1\r\nX-b: \r\n\r\n"]


@pytest.mark.parametrize(
    ("headers", "body", "sent"),
    [
        (HOST, None, b"Host: a\r\n\r\n"),
        (HOST, b"", b"Host: a\r\nContent-Length: 0\r\n\r\n"),
        (HOST, b"abc", b"Host: a\r\nContent-Length: 3\r\n\r\nabc"),
        (((b"content-length", b"9"), *HOST), b"abc", b"content-length: 3\r\nHost: a\r\n\r\nabc"),
        (((b"Content-Length", b"9"), *HOST), None, b"Host: a\r\n\r\n"),
        (((b"Content-Length", b"0"), *HOST), None, b"Content-Length: 0\r\nHost: a\r\n\r\n"),
        (((b"Transfer-Encoding", b"chunked"), *HOST), b"a", b"Host: a\r\nContent-Length: 1\r\n\r\na"),
        (
            HOST,
            (b"ab", b"", b"c"),
            b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        ),
        (((b"Content-Length", b"3"), *HOST), (b"ab", b"c"), b"Content-Length: 3\r\nHost: a\r\n\r\nabc"),
    ],
)
async def test_framing_follows_the_body(headers: Any, body: Any, sent: bytes) -> None:
    got = bytearray()
    want = b"POST / HTTP/1.1\r\n" + sent

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(got) < len(want):
            got.extend(await reader.read(1000))
        writer.write(OK)

    async with upstream(script) as (client, _):
        stream = pieces(*body) if isinstance(body, tuple) else body
        assert await whole(await client.send("POST", "/", headers, stream)) == b"ok"
    assert got == want


@pytest.mark.parametrize("parts", [(b"ab",), (b"ab", b"cd")], ids=["short", "long"])
async def test_a_streamed_body_of_another_length_than_promised_breaks_off(parts: tuple[bytes, ...]) -> None:
    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with upstream(script) as (client, _):
        with pytest.raises(UpstreamError, match="body") as caught:
            await client.send("POST", "/", ((b"Content-Length", b"3"), *HOST), pieces(*parts))
        assert caught.value.code == "protocol"


@pytest.mark.parametrize("bad", [(b"X", b"a\r\nY: b"), (b"X\n", b"a"), (b"X", b"\0")])
async def test_fields_cannot_break_out_of_the_head(bad: tuple[bytes, bytes]) -> None:
    async with upstream(answering(OK)) as (client, server):
        with pytest.raises(UpstreamError):
            await client.send("GET", "/", (*HOST, bad), None)
        assert server.connections == 0


async def test_connections_are_used_again_and_bounded() -> None:
    async with upstream(answering(OK), max_connections=2) as (client, server):

        async def one() -> bytes:
            return await whole(await client.send("GET", "/", HOST, None))

        assert await asyncio.gather(*(one() for _ in range(20))) == [b"ok"] * 20
        assert server.connections == 2
        assert (client.open_connections, client.idle_connections) == (2, 2)


async def test_waiting_for_a_free_connection_ends_in_a_timeout_and_cancelling_frees_it() -> None:
    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with upstream(script, max_connections=1, connect_timeout=0.1) as (client, server):
        async with asyncio.TaskGroup() as group:
            held = group.create_task(client.send("GET", "/", HOST, None))
            await until(lambda: server.connections)
            with pytest.raises(UpstreamError) as caught:
                await client.send("GET", "/", HOST, None)
            assert caught.value.code == "timeout"
            held.cancel()
        await until(lambda: not client.open_connections)


def closing_the_second(seen: list[bytes]) -> Script:
    """Each connection answers once; what comes then on the same connection is dropped with it."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    return script


async def test_a_read_on_a_stale_connection_is_tried_once_more() -> None:
    seen: list[bytes] = []
    async with upstream(closing_the_second(seen)) as (client, server):
        for _ in range(2):
            assert await whole(await client.send("GET", "/", HOST, None)) == b"ok"
        assert (len(seen), server.connections) == (3, 2)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_write_is_never_repeated(method: str) -> None:
    seen: list[bytes] = []
    async with upstream(closing_the_second(seen)) as (client, server):
        await whole(await client.send("GET", "/", HOST, None))
        with pytest.raises(UpstreamError) as caught:
            await client.send(method, "/", HOST, None)
        assert caught.value.code == "reset"
        assert (len(seen), server.connections) == (2, 1)


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_an_upstream_takes_for_a_request_in_a_body_is_answered_to_nobody(streamed: bool) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Looks for no body behind a GET, and takes its time over what it finds there."""
        while True:
            targets = [(await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]]
            if targets == [b"/hidden"]:
                targets.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
            for target in targets:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))

    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    headers = (*HOST, (b"Content-Length", b"%d" % len(hidden)))
    async with upstream(script) as (client, server):
        assert await whole(await client.send("GET", "/1", headers, pieces(hidden) if streamed else hidden)) == b"/1"
        for target in ("/2", "/3"):
            assert await whole(await client.send("GET", target, HOST, None)) == target.encode()
        assert server.connections == 2


async def test_a_connection_idle_too_long_is_not_used() -> None:
    async with upstream(answering(OK), keep_alive=0.05) as (client, server):
        await whole(await client.send("GET", "/", HOST, None))
        await until(lambda: not client.open_connections)
        await whole(await client.send("GET", "/", HOST, None))
        assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"surplus",
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + OK,
    ],
    ids=["surplus", "close", "1.0", "two"],
)
async def test_connections_that_may_be_out_of_step_are_not_used_again(answer: bytes) -> None:
    async with upstream(answering(answer)) as (client, server):
        for _ in range(2):
            assert await whole(await client.send("GET", "/", HOST, None)) == b"ok"
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "reset"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "reset"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX", "protocol"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: " + b"y" * 200_000,
            "protocol",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;" + b"y" * 200_000, "protocol"),
    ],
    ids=["length", "chunked", "malformed", "endless trailer", "endless extension"],
)
async def test_a_short_or_endless_body_is_an_error_never_a_quiet_end(answer: bytes, code: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for start in range(0, len(answer), 50_000):
            writer.write(answer[start : start + 50_000])
            await writer.drain()

    async with upstream(script) as (client, _):
        response = await client.send("GET", "/", HOST, None)
        with pytest.raises(UpstreamError) as caught:
            await whole(response)
        assert caught.value.code == code


async def test_trailers_and_informational_responses_are_told() -> None:
    hints: list[tuple[int, bytes, Any]] = []
    answer = (
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    async with upstream(answering(answer)) as (client, _):
        response = await client.send("GET", "/", HOST, None, on_informational=lambda *told: hints.append(told))
        assert await whole(response) == b"ok"
        assert response.trailers == ((b"X-Sum", b"1"),)
        assert hints == [(103, b"Early", ((b"Link", b"x"),))]


async def test_silence_times_out_but_not_while_the_reader_is_busy() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        await reader.read()

    async with upstream(script, idle_timeout=0.2) as (client, _):
        response = await client.send("GET", "/", HOST, None)
        await asyncio.sleep(0.4)  # the reader is elsewhere: not the upstream's fault
        assert await response.read() == b"ab"
        with pytest.raises(UpstreamError) as caught:
            await response.read()
        assert caught.value.code == "timeout"


@pytest.mark.parametrize(
    ("url", "code"),
    [("http://127.0.0.1:1", "refused"), ("http://nowhere.invalid", "dns")],
)
async def test_failures_to_connect_have_their_codes(url: str, code: str) -> None:
    client = HttpClient(url, connect_timeout=5, idle_timeout=1, max_connections=1, max_idle=1)
    for _ in range(2):
        with pytest.raises(UpstreamError) as caught:
            await client.send("GET", "/", HOST, None)
        assert caught.value.code == code
    await client.close()


async def test_https_to_something_else_is_a_tls_error() -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 plain\r\n\r\n")

    async with upstream(reply) as (_, server):
        url = f"https://127.0.0.1:{server.port}"
        client = HttpClient(url, connect_timeout=1, idle_timeout=1, max_connections=1, max_idle=1)
        with pytest.raises(UpstreamError) as caught:
            await client.send("GET", "/", HOST, None)
        assert caught.value.code == "tls"
        await client.close()


async def test_an_unread_body_is_held_back_at_the_upstream() -> None:
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        while sent < 50_000_000:
            writer.write(bytes(50_000))
            await writer.drain()
            sent += 50_000

    async with upstream(script) as (client, _):
        response = await client.send("GET", "/", HOST, None)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)  # the condition is that nothing moves
        assert sent < 20_000_000
        assert len(await whole(response)) == 50_000_000


async def test_a_base_path_goes_before_the_target() -> None:
    seen: list[bytes] = []
    async with upstream(answering(OK, seen)) as (_, server):
        client = HttpClient(
            f"http://127.0.0.1:{server.port}/v1/",
            connect_timeout=1,
            idle_timeout=1,
            max_connections=1,
            max_idle=1,
        )
        await whole(await client.send("GET", "/a?b", HOST, None))
        await client.close()
    assert seen[0].startswith(b"GET /v1/a?b HTTP/1.1\r\n")


async def test_a_whole_response_that_never_comes_ends_in_its_time_also_without_an_idle_timeout() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await reader.read()

    async with upstream(script, idle_timeout=0, keep_alive=0.2) as (client, _):
        assert client.ask("GET", "/", HOST, limit=10, timeout=1.0, done=print) is None, "nothing is idle"
        assert await whole(await client.send("GET", "/", HOST, None)) == b"ok"
        ended: list[Whole] = []
        assert client.ask("GET", "/", HOST, limit=10, timeout=0.1, done=ended.append) is not None
        await until(lambda: ended)
        assert ended[0].error is not None
        assert ended[0].error.code == "timeout"
        await until(lambda: not client.open_connections)
