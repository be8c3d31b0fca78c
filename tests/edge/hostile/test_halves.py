"""Clients that end their direction, or all, at any moment: the exchange ends, the connection is let go."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

from tests.edge.hostile.backend import Recording, answer
from tests.edge.hostile.shapes import chunked, get, post
from tests.edge.support import Setup, running, until

HELD = get(target=b"/held")
MOMENTS: dict[str, bytes] = {
    "before anything": b"",
    "in the request line": b"GET / HT",
    "in the head": b"GET / HTTP/1.1\r\nHost: a\r\n",
    "in a body": post(b"Content-Length: 9", body=b"abc"),
    "in a chunk": chunked(b"9\r\nabc"),
    "between chunks": chunked(b"3\r\nabc\r\n"),
    "in the trailers": chunked(b"3\r\nabc\r\n0\r\nX"),
    "while the primary thinks": HELD,
    "behind an answer": get(),
    "with one answered and one begun": get() + post(b"Content-Length: 9", body=b"abc"),
}


def half_close(writer: asyncio.StreamWriter) -> None:
    writer.write_eof()


def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def clients(setup: Setup) -> int:
    assert setup.edge._server is not None
    return len(setup.edge._server.connections)


@pytest.mark.parametrize("end", [half_close, close, reset])
@pytest.mark.parametrize("sent", MOMENTS.values(), ids=MOMENTS.keys())
async def test_a_client_that_ends_is_gone(
    sent: bytes, end: Callable[[asyncio.StreamWriter], None], caplog: pytest.LogCaptureFixture
) -> None:
    primary = Recording()
    async with running(primary.script) as setup:
        reader, writer = await setup.connect()
        other, others = await setup.connect()
        try:
            others.write(HELD)
            await until(lambda: HELD in primary.requests)
            writer.write(sent)
            if sent.startswith(get()):
                want = answer(b"GET", b"/")
                assert await reader.readexactly(len(want)) == want
            elif b"\r\n\r\n" in sent:
                await until(lambda: primary.connections == 2)
            end(writer)
            if end is half_close:
                async with asyncio.timeout(5):
                    assert await reader.read() == b""
                writer.close()
            # Only the other client is left, and it gets its answer.
            await until(lambda: clients(setup) == 1)
            await until(lambda: setup.edge.active == 1)
            primary.held.set()
            want = answer(b"GET", b"/held")
            assert await other.readexactly(len(want)) == want
        finally:
            primary.held.set()
            others.close()
        assert primary.unsound == []
        assert all(part.partition(b"\r\n\r\n")[0] in sent for part in primary.parts)
        assert [request for request in primary.requests if request != HELD] == ([get()] if get() in sent else [])
        assert all(tape.names[-1] in ("end", "cancelled") for tape in setup.tapes)
        assert sum(tape.names[-1] == "end" for tape in setup.tapes) == 1 + (get() in sent)
    assert caplog.records == []
