"""Clients that send without end: each is cut off after a bounded number of bytes, and costs no one else anything."""

from __future__ import annotations

import asyncio

import pytest

from tests.edge.hostile.backend import Recording, answer
from tests.edge.hostile.shapes import chunked
from tests.edge.support import running

_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
FLOODS: dict[str, tuple[bytes, bytes]] = {
    "blank lines": (b"", b"\r\n" * 2048),
    "a method": (b"", b"A" * 4096),
    "a target": (b"GET /", b"a" * 4096),
    "a field's name": (_HEAD, b"a" * 4096),
    "a field's value": (_HEAD + b"X: ", b"a" * 4096),
    "white space before a value": (_HEAD + b"X:", b" " * 4096),
    "small fields": (_HEAD, b"X: y\r\n" * 700),
    "large fields": (_HEAD, b"X: " + b"y" * 4000 + b"\r\n"),
    "noughts of a chunk's size": (chunked(b"0"), b"0" * 4096),
    "a chunk's extension": (chunked(b"3;"), b"a" * 4096),
    "a chunk's extension behind a byte": (chunked(b"1\r\na\r\n3;"), b"a" * 4096),
    "trailers": (chunked(b"1\r\na\r\n0\r\n"), b"X: y\r\n" * 700),
    "a trailer": (chunked(b"1\r\na\r\n0\r\nX: "), b"a" * 4096),
}


@pytest.mark.parametrize(("start", "more"), FLOODS.values(), ids=FLOODS.keys())
async def test_a_flood_is_cut_off(start: bytes, more: bytes) -> None:
    primary = Recording()
    async with running(primary.script) as setup:
        reader, writer = await setup.connect()
        other, others = await setup.connect()
        sent = 0
        try:
            async with asyncio.timeout(10):
                writer.write(start)
                while not reader.at_eof() and not writer.is_closing():
                    writer.write(more)
                    await writer.drain()
                    sent += len(more)
                    others.write(_HEAD + b"\r\n")
                    want = answer(b"GET", b"/")
                    assert await other.readexactly(len(want)) == want
        except ConnectionError:
            pass
        finally:
            writer.close()
            others.close()
        # 64 KiB and one reading are taken; the rest is what the sockets of this host hold.
        assert sent < 8 << 20
        assert all(request == _HEAD + b"\r\n" for request in primary.requests)
        assert setup.client.open_connections <= 1


async def test_a_flood_is_told_that_it_is_too_large() -> None:
    async with running(Recording().script) as setup:
        reader, writer = await setup.connect()
        writer.write(b"\r\n" * 33_000)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 431 ")
        writer.close()


async def test_a_large_body_is_no_flood() -> None:
    primary = Recording()
    async with running(primary.script) as setup:
        reader, writer = await setup.connect()
        body = b"a" * 300_000
        for framed in (b"Content-Length: 300000\r\n\r\n" + body, b"Transfer-Encoding: chunked\r\n\r\n"):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n" + framed)
            if b"chunked" in framed:
                for at in range(0, 300_000, 100):
                    writer.write(b"64;a=b\r\n" + body[at : at + 100] + b"\r\n")
                writer.write(b"0\r\n\r\n")
            want = answer(b"POST", b"/", 300_000)
            assert await reader.readexactly(len(want)) == want
        writer.close()
