"""What the client and the primary see through the edge, byte for byte."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from tests.edge.support import answering, running

GET = b"GET /a HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"


def close(head: bytes) -> bytes:
    """The response head as the client gets it when it asked to close."""
    return head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


ZIPPED = gzip.compress(b"hello" * 100, mtime=0)

SAME = {
    "fields and reason": b"HTTP/1.1 299 Fine & Dandy\r\nX-b: 1\r\nsEt-CoOkie: a=1\r\nX-A:  2\r\nSet-Cookie: b=2\r\n"
    b"Content-Length: 2\r\n\r\nok",
    "empty reason": b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    "latin-1 value": b"HTTP/1.1 200 OK\r\nX: \xe9\r\nContent-Length: 0\r\n\r\n",
    "empty value": b"HTTP/1.1 200 OK\r\nX: \r\nContent-Length: 0\r\n\r\n",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(ZIPPED), ZIPPED),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\nX-Sum: 9\r\nx-sum: 10\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "304 with a length": b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n',
    "404": b"HTTP/1.1 404 Nope\r\nContent-Length: 3\r\n\r\nno!",
    "103 first": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "426": b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h9\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("response", SAME.values(), ids=SAME.keys())
async def test_the_response_arrives_as_it_was_sent(response: bytes) -> None:
    async with running(answering(response)) as setup:
        got = await setup.exchange(GET)
        first, _, rest = response.partition(b"\r\n\r\n")
        if b" 103 " in first:
            want = first + b"\r\n\r\n" + close(rest)
        else:
            want = close(response.replace(b"X-A:  2", b"X-A: 2"))
        assert got == want
        assert setup.tapes[0].names[-1] == "end"


async def test_the_same_bytes_in_single_byte_pieces() -> None:
    response = b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 11\r\n\r\nhello world"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in response:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with running(script) as setup:
        assert await setup.exchange(GET) == close(response)
        assert setup.tapes[0].body() == b"hello world"


async def test_the_request_arrives_as_it_was_sent() -> None:
    seen: list[bytes] = []
    request = (
        b"GET /a/../b//c%2F%zz?x=[1]|2&q=%C3%A9#f HTTP/1.1\r\nhOsT: shop.example:81\r\nX-a: 1\r\nAccept: */*\r\n"
        b'x-A: 2\r\nCookie: a=b; c=d\r\nX-Empty: \r\nX-Latin: \xe9\r\nIf-None-Match: W/"1"\r\n\r\n'
    )
    async with running(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", seen)) as setup:
        reader, writer = await setup.connect()
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert seen == [request]
        assert setup.tapes[0].calls[0][1:3] == ("GET", "/a/../b//c%2F%zz?x=[1]|2&q=%C3%A9#f")


async def test_hop_by_hop_fields_end_at_the_edge_both_ways() -> None:
    seen: list[bytes] = []
    response = (
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Stays: 1\r\nContent-Length: 0\r\n\r\n"
    )
    request = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Mine, Host\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n"
        b"Proxy-Connection: x\r\nProxy-Authorization: x\r\nTE: gzip, trailers\r\nTrailer: x\r\nUpgrade: h2c\r\n"
        b"X-Stays: 1\r\n\r\n"
    )
    async with running(answering(response, seen)) as setup:
        got = await setup.exchange(request)
    assert seen == [b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nX-Stays: 1\r\n\r\n"]
    assert got == b"HTTP/1.1 200 OK\r\nX-Stays: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def test_head_has_no_body_and_both_connections_are_kept() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    async with running(answering(response)) as setup:
        reader, writer = await setup.connect()
        for _ in range(3):
            writer.write(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == response
        writer.close()
        assert setup.upstream.connections == 1
        assert [tape.names for tape in setup.tapes] == [["open", "response_head", "end"]] * 3


async def test_keep_alive_and_pipelining_use_one_upstream_connection() -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with running(answering(response)) as setup:
        reader, writer = await setup.connect()
        writer.write(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" * 5)
        assert await reader.readexactly(5 * len(response)) == 5 * response
        writer.close()
        assert setup.upstream.connections == 1


async def test_a_body_that_ends_with_the_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nsome")
        await writer.drain()
        writer.write(b"thing")

    async with running(script) as setup:
        got = await setup.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert got == b"HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\nsomething"
        assert setup.tapes[0].names[-1] == "end"


async def test_an_http_1_0_client_gets_no_chunks_and_may_keep_its_connection() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    async with running(answering(b"HTTP/1.1 103 E\r\n\r\n" + chunked)) as setup:
        assert await setup.exchange(b"GET / HTTP/1.0\r\n\r\n") == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
    seen: list[bytes] = []
    async with running(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", seen)) as setup:
        reader, writer = await setup.connect()
        for _ in range(2):
            writer.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive" in await reader.readuntil(b"\r\n\r\nok")
        writer.close()
        assert seen[0] == b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % setup.upstream.port


@pytest.mark.parametrize(
    ("sent", "line", "host"),
    [
        (b"GET http://other.example/p?q HTTP/1.1", b"GET /p?q HTTP/1.1", b"other.example"),
        (b"GET http://other.example HTTP/1.1", b"GET / HTTP/1.1", b"other.example"),
        (b"OPTIONS * HTTP/1.1", b"OPTIONS * HTTP/1.1", b"a"),
        (b"PURGE /x HTTP/1.1", b"PURGE /x HTTP/1.1", b"a"),
    ],
)
async def test_other_forms_of_target(sent: bytes, line: bytes, host: bytes) -> None:
    seen: list[bytes] = []
    async with running(answering(b"HTTP/1.1 204 N\r\n\r\n", seen)) as setup:
        await setup.exchange(sent + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert seen == [line + b"\r\nHost: " + host + b"\r\n\r\n"]


async def test_forwarded_fields_by_setting() -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close\r\n\r\n"
    expect = {
        "off": b"X-Forwarded-For: 9.9.9.9\r\n",
        "append": b'Forwarded: for=127.0.0.1;host="a";proto=http\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n'
        b"X-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\n",
        "replace": b'Forwarded: for=127.0.0.1;host="a";proto=http\r\nX-Forwarded-For: 127.0.0.1\r\n'
        b"X-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\n",
    }
    for setting, fields in expect.items():
        seen: list[bytes] = []
        async with running(answering(b"HTTP/1.1 204 N\r\n\r\n", seen), forwarded=setting) as setup:
            await setup.exchange(request)
        assert seen == [b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"]
