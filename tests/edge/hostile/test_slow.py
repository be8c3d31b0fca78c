"""Clients that take their time: with sending a head or a body, and with taking what they asked for."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.edge.hostile.backend import Recording, answer
from tests.edge.hostile.shapes import chunked, get, post
from tests.edge.support import Setup, running, until

QUICK: dict[str, Any] = {"keep_alive": 0.4, "client_timeout": 0.4}
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000)


async def served(setup: Setup) -> None:
    """Another client has its request answered."""
    reader, writer = await setup.connect()
    writer.write(get(b"Connection: close", target=b"/other"))
    assert (await reader.read()).endswith(answer(b"GET", b"/other").partition(b"\r\n\r\n")[2])
    writer.close()


async def drip(writer: asyncio.StreamWriter, piece: bytes, reader: asyncio.StreamReader) -> None:
    """Send a piece again and again, with a rest that is shorter than any limit."""
    try:
        while not reader.at_eof() and not writer.is_closing():
            writer.write(piece)
            await asyncio.sleep(0.05)  # the slowness is what is tested
    except ConnectionError:
        pass


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: a\r\nX: "], ids=["from the start", "in a field"])
async def test_a_head_that_is_not_whole_in_time_ends_its_connection_without_an_answer(start: bytes) -> None:
    primary = Recording()
    async with running(primary.script, **QUICK) as setup:
        reader, writer = await setup.connect()
        writer.write(start)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(drip(writer, b"\r\n" if not start else b"a", reader))
            await served(setup)
            assert await reader.read() == b""
        writer.close()
        assert len(primary.requests) == 1


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (post(b"Content-Length: 10", body=b"abc"), b""),
        (chunked(b"3\r\nabc\r\n"), b""),
        (chunked(b"3\r\nabc\r\n3;"), b"a"),
        (chunked(b"3\r\nabc\r\n0\r\nX: "), b"a"),
    ],
    ids=["length", "chunked", "dripping extension", "dripping trailer"],
)
async def test_a_body_that_does_not_go_on_gets_408_and_its_primary_is_told(start: bytes, piece: bytes) -> None:
    primary = Recording()
    async with running(primary.script, **QUICK) as setup:
        reader, writer = await setup.connect()
        writer.write(start)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            if piece:
                group.create_task(drip(writer, piece, reader))
            await served(setup)
            got = await reader.read()
        writer.close()
        assert got.startswith(b"HTTP/1.1 408 ")
        await until(lambda: primary.parts)
        assert primary.unsound == []
        assert [tape.calls[-1] for tape in setup.tapes if ("end",) not in tape.calls] == [("cancelled",)]


async def test_a_body_that_comes_slowly_but_comes_is_served() -> None:
    async with running(Recording().script, **QUICK) as setup:
        reader, writer = await setup.connect()
        writer.write(post(b"Content-Length: 12"))
        for _ in range(12):
            await asyncio.sleep(0.05)  # longer than the limit in all, shorter each time
            writer.write(b"a")
        want = answer(b"POST", b"/", 12)
        assert await reader.readexactly(len(want)) == want
        writer.close()


def deaf(setup: Setup) -> socket.socket:
    """A client whose socket takes a few KiB and who never reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(setup.edge.address)
    sock.setblocking(False)
    return sock


def connections(setup: Setup) -> int:
    assert setup.edge._server is not None
    return len(setup.edge._server.connections)


@pytest.mark.parametrize("last", [False, True], ids=["kept", "last"])
async def test_a_client_that_takes_nothing_is_let_go_with_all_that_was_held_for_it(last: bool) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(BIG)
        await writer.drain()
        await reader.read()

    async with running(script, **QUICK) as setup:
        sock = deaf(setup)
        sock.sendall(get(b"Connection: close") if last else get())
        await until(lambda: setup.tapes and setup.tapes[0].closed.is_set())
        await until(lambda: connections(setup) == 0)
        assert setup.client.open_connections == 0
        assert setup.tapes[0].calls[-1] == ("cancelled",)
        sock.close()


@pytest.mark.parametrize("last", [False, True], ids=["kept", "last"])
async def test_a_rest_that_fits_the_buffers_does_not_hold_a_connection_either(last: bool) -> None:
    """All was handed to the transport, so that nothing waits for the client but the transport itself."""
    size = _held_by_sockets() + 40_000

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    async with running(script, **QUICK) as setup:
        sock = deaf(setup)
        sock.sendall(get(b"Connection: close") if last else get())
        await until(lambda: setup.tapes and setup.tapes[0].closed.is_set())
        await until(lambda: connections(setup) == 0)
        sock.close()


def _held_by_sockets() -> int:
    """Bytes that the two sockets of a deaf client's connection take without its reading."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(listener.getsockname())
        accepted = listener.accept()[0]
        with accepted:
            accepted.setblocking(False)
            sent = 0
            try:
                while True:
                    sent += accepted.send(bytes(4096))
            except BlockingIOError:
                return sent


@pytest.mark.parametrize("primary_is_away", [False, True], ids=["answers", "refusals"])
async def test_answers_that_are_not_taken_do_not_pile_up(primary_is_away: bool) -> None:
    primary = Recording()
    async with running(primary.script, client_timeout=0.5) as setup:
        if primary_is_away:
            await setup.upstream.stop()
        sock = deaf(setup)
        assert setup.edge._server is not None
        await until(lambda: connections(setup) == 1)
        (client,) = setup.edge._server.connections
        assert client.transport is not None
        client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        asking = asyncio.ensure_future(_ask_on_and_on(sock))
        most = 0
        async with asyncio.timeout(20):
            while connections(setup):
                if client.transport is not None:
                    most = max(most, client.transport.get_write_buffer_size())
                await asyncio.sleep(0)
            await asking
        assert 0 < most < 128 * 1024
        sock.close()
        if primary_is_away:
            await setup.upstream.start()


async def _ask_on_and_on(sock: socket.socket) -> None:
    """Until the connection is broken."""
    try:
        while True:
            await asyncio.get_running_loop().sock_sendall(sock, get() * 50)
    except ConnectionError:
        pass
