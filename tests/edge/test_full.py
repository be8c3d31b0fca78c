"""Clients beyond the limit are told so and let go; those within it are served as ever."""

from __future__ import annotations

import asyncio
import json

from aiohttp.http import RawRequestMessage

from proxy.edge import full
from tests.edge.support import Setup, answering, running, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ASK = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


async def asked(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    reader, writer = streams
    writer.write(ASK)
    async with asyncio.timeout(5):
        return await reader.readexactly(len(OK))


async def whole(setup: Setup, sent: bytes = b"") -> bytes:
    """Everything that a new connection is sent until it is closed."""
    reader, writer = await setup.connect()
    writer.write(sent)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


async def test_one_too_many_is_told_and_harms_nobody() -> None:
    async with running(answering(OK), max_clients=3) as setup:
        served = [await setup.connect() for _ in range(3)]
        assert [await asked(one) for one in served] == [OK] * 3
        for sent in (b"", ASK, b"x" * 200_000):
            head, _, body = (await whole(setup, sent)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"Connection: close" in head
            assert json.loads(body)["detail"] == "The proxy has no connection left."
        assert setup.edge.refused_clients == 3
        assert len(setup.tapes) == 3
        assert [await asked(one) for one in served] == [OK] * 3

        served.pop()[1].close()
        server = setup.edge._server
        assert server is not None
        await until(lambda: len(server.connections) == 2)
        served.append(await setup.connect())
        assert await asked(served[-1]) == OK
        for _, writer in served:
            writer.close()


async def test_those_who_are_told_take_no_more_than_their_time_and_number() -> None:
    async with running(answering(OK), max_clients=1) as setup:
        served = await setup.connect()
        assert await asked(served) == OK
        server = setup.edge._server
        assert server is not None
        # They neither read nor close.
        stubborn = [await setup.connect() for _ in range(full.LINGERING + 20)]
        await until(lambda: setup.edge.refused_clients == len(stubborn))
        assert 0 < len(server._told) <= full.LINGERING
        await until(lambda: not server._told, full.LINGER + 4)
        assert await asked(served) == OK
        for _, writer in (served, *stubborn):
            writer.close()


async def test_what_a_client_sends_ahead_is_read_when_its_turn_comes() -> None:
    turn = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await turn.wait()
            writer.write(OK)

    fields = b"".join(b"X-%d: %b\r\n" % (number, b"v" * 12_000) for number in range(4))
    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write((b"GET /a HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n") * 40)
        server = setup.edge._server
        assert server is not None
        await until(lambda: server.connections and server.connections[0]._buffer_paused)
        waiting = [message for message, _ in server.connections[0]._messages]
        heads = [message.raw_headers for message in waiting if isinstance(message, RawRequestMessage)]
        held = sum([len(name) + len(value) for head in heads for name, value in head])
        assert len(heads) >= 2
        assert held <= 256 * 1024
        turn.set()
        async with asyncio.timeout(20):
            assert await reader.readexactly(40 * len(OK)) == 40 * OK
        writer.close()
