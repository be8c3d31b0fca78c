"""Requests that two parsers could read in two ways are refused, and their connection ends."""

from __future__ import annotations

import asyncio

import pytest

from tests.edge.support import answering, running

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED: dict[str, tuple[int, bytes]] = {
    "length and coding": (400, POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "coding and length": (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    "one length twice": (400, POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "length list": (400, POST + b"Content-Length: 3, 3\r\n\r\nabc"),
    "length with plus": (400, POST + b"Content-Length: +3\r\n\r\nabc"),
    "length below zero": (400, POST + b"Content-Length: -1\r\n\r\nabc"),
    "length empty": (400, POST + b"Content-Length: \r\n\r\nabc"),
    "length overflowing": (400, POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc"),
    "gzip, chunked": (400, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunked, chunked": (400, POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    "identity": (400, POST + b"Transfer-Encoding: identity\r\n\r\n"),
    "xchunked": (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "coding behind a control": (400, POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
    "coding twice": (
        400,
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "coding empty": (400, POST + b"Transfer-Encoding: \r\n\r\n"),
    "coding in 1.0": (400, b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "folded field": (400, GET + b"X-A: b\r\n c\r\n\r\n"),
    "bare LF": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "bare LF in the head": (400, b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    "bare CR in a value": (400, GET + b"X: y\rz\r\n\r\n"),
    "space before the colon": (400, GET + b"X : y\r\n\r\n"),
    "space before the first field": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "NUL in a value": (400, GET + b"X: y\0z\r\n\r\n"),
    "NUL in a name": (400, GET + b"X\0: y\r\n\r\n"),
    "control in a value": (400, GET + b"X: y\x01z\r\n\r\n"),
    "field without a name": (400, GET + b": y\r\n\r\n"),
    "field without a colon": (400, GET + b"foo\r\n\r\n"),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "Host list": (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "Host with userinfo": (400, b"GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "other scheme": (400, b"GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target without a slash": (400, b"GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
    "GET *": (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    "space in the target": (400, b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    "HTTP/0.9": (505, b"GET /\r\n\r\n"),
    "HTTP/2.0": (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    "HTTP/1.2": (400, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    "CONNECT": (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "unknown method": (400, b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "chunk without its end": (400, CHUNKED + b"3\r\nabcXX\r\n0\r\n\r\n"),
    "chunk size 0x3": (400, CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n"),
    "space behind chunk size": (400, CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n"),
    "LF behind chunk size": (400, CHUNKED + b"3\nabc\r\n0\r\n\r\n"),
    "LF behind chunk": (400, CHUNKED + b"3\r\nabc\n0\r\n\r\n"),
    "LF in chunk extension": (400, CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n"),
    "chunk size overflowing": (400, CHUNKED + b"fffffffffffffffff3\r\nabc\r\n0\r\n\r\n"),
    "long field": (431, GET + b"X: " + b"y" * 20_000 + b"\r\n\r\n"),
    "long target": (431, b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "many fields": (400, GET + b"X: y\r\n" * 200 + b"\r\n"),
}


@pytest.mark.parametrize(("status", "request_bytes"), REFUSED.values(), ids=REFUSED.keys())
async def test_ambiguous_requests_are_refused_and_never_reach_the_primary(status: int, request_bytes: bytes) -> None:
    seen: list[bytes] = []
    async with running(answering(OK, seen)) as setup:
        got = await setup.exchange(request_bytes)
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in got
    assert b"Content-Type: application/problem+json\r\n" in got
    assert got.count(b"\r\n\r\n") == 1
    assert seen == []


async def test_a_body_that_turns_malformed_on_its_way_ends_the_request_with_400() -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"abc\r\n")
        started.set()
        assert await reader.read() == b""
        ended.set()

    started = asyncio.Event()
    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        await started.wait()
        writer.write(b"ZZ\r\n")
        async with asyncio.timeout(5):
            got = await reader.read()
            await ended.wait()
        writer.close()
        assert got.startswith(b"HTTP/1.1 400 ")
        assert got.count(b"\r\n\r\n") == 1
        assert setup.tapes[0].names[-1] == "cancelled"


async def test_trailers_of_one_request_never_become_fields_of_the_next() -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            seen.append(head)
            if b"chunked" in head:
                await reader.readuntil(b"0\r\n\r\n")
            writer.write(OK)

    async with running(script) as setup:
        smuggled = CHUNKED + b"3\r\nabc\r\n0\r\nX-Admin: 1\r\n\r\n"
        got = await setup.exchange(smuggled + GET + b"\r\n")
        assert got.count(b"HTTP/1.1 200") == 1
        assert len(seen) == 1
        assert b"Connection: close" in got
        # Without trailers the connection goes on.
        reader, writer = await setup.connect()
        for _ in range(2):
            writer.write(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n")
            assert await reader.readexactly(len(OK)) == OK
        writer.close()
        assert not [head for head in seen if b"X-Admin" in head]
