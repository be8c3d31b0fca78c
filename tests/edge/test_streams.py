"""Long and living bodies: uploads, Expect, server-sent events, upgrades, and flat memory."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from tests.edge.support import Setup, running

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_expect_is_answered_by_the_primary_alone() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\nExpect: 100-continue\r\n" in head
        assert not reader._buffer  # type: ignore[attr-defined] # nothing may come before the 100
        writer.write(CONTINUE)
        assert await reader.readexactly(4) == b"body"
        writer.write(OK)

    async with running(script, wants_request_body=True) as setup:
        reader, writer = await setup.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == CONTINUE
        writer.write(b"body")
        assert await reader.readexactly(len(OK)) == OK
        writer.close()
        assert setup.tapes[0].body("request_body") == b"body"
        assert setup.tapes[0].names == ["open", "request_body", "response_head", "response_body", "end"]


async def test_a_refused_expectation_closes_because_the_body_never_came() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with running(script) as setup:
        got = await setup.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert got == b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        assert setup.client.idle_connections == 0


@pytest.mark.parametrize("framing", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
async def test_an_upload_goes_on_as_it_comes_and_keeps_its_framing(framing: bytes) -> None:
    chunked = b"chunked" in framing
    first, second = (b"5\r\nhello\r\n", b"5\r\nworld\r\n0\r\n\r\n") if chunked else (b"hello", b"world")
    got_first = asyncio.Event()
    heads = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        assert await reader.readexactly(len(first)) == first
        got_first.set()
        assert await reader.readexactly(len(second)) == second
        writer.write(OK)

    async with running(script) as setup:
        reader, writer = await setup.connect()
        request = b"POST /up HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\nX: y\r\n\r\n"
        writer.write(request + first)
        async with asyncio.timeout(2):
            await got_first.wait()
        writer.write(second)
        assert await reader.readexactly(len(OK)) == OK
        writer.close()
        assert heads == [request]


async def test_server_sent_events_arrive_one_by_one_and_outlast_the_idle_timeout() -> None:
    seen = asyncio.Queue[None]()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            writer.write(b"9\r\ndata: %d\n\n\r\n" % number)
            await seen.get()
        await asyncio.sleep(0.3)  # the silence is what is tested
        writer.write(b"0\r\n\r\n")

    async with running(script, client={"idle_timeout": 0.1}) as setup:
        reader, writer = await setup.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for number in range(3):
            assert await reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: %d\n\n\r\n" % number
            seen.put_nowait(None)
        assert await reader.readexactly(5) == b"0\r\n\r\n"
        writer.close()


@pytest.mark.parametrize("protocol", [b"websocket", b"odd/1"])
async def test_an_upgrade_is_a_tunnel_for_raw_bytes_and_each_direction_ends_alone(protocol: bytes) -> None:
    request = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
    switch = b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
    blob = bytes(range(256)) * 1000
    heads = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(switch + b"early")
        got = await reader.read(-1)
        writer.write(got[::-1])

    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write(request)
        assert await reader.readexactly(len(switch) + 5) == switch + b"early"
        writer.write(blob)
        writer.write_eof()
        async with asyncio.timeout(5):
            assert await reader.read() == blob[::-1]
        writer.close()
        assert heads == [request]
        assert setup.tapes[0].names == ["open", "response_head", "end"]
    assert setup.client.open_connections == 0


async def test_a_tunnel_loses_nothing_when_the_upstream_ends_its_direction_first() -> None:
    got = asyncio.get_running_loop().create_future()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        writer.write_eof()
        got.set_result(await reader.read(-1))

    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b""
        writer.write(BLOCK * 16)
        writer.close()
        async with asyncio.timeout(5):
            assert await got == BLOCK * 16


async def test_a_tunnel_ends_on_both_sides_when_one_is_reset() -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        try:
            await reader.read()
        finally:
            ended.set()

    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        async with asyncio.timeout(2):
            await ended.wait()


async def test_a_declined_upgrade_is_an_ordinary_response() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

    async with running(script) as setup:
        reader, writer = await setup.connect()
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            assert await reader.readexactly(len(OK)) == OK
        writer.close()


async def test_a_slow_client_holds_the_primary_back() -> None:
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            await writer.drain()
            sent += 65536

    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.1)  # the condition is that nothing moves
        assert sent < 32_000_000  # what sockets and buffers hold, far from the whole
        writer.transport.abort()


EDGE = """
import asyncio, resource, sys, uvloop
from proxy.edge.server import Edge
from proxy.readers.client import HttpClient
async def main():
    primary = HttpClient(sys.argv[1], connect_timeout=5, idle_timeout=30, max_connections=8, max_idle=8)
    edge = Edge(primary=primary, open_tap=lambda *_: None)
    await edge.start("127.0.0.1", 0)
    print(edge.address[1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
    await edge.stop(0)
    await primary.close()
uvloop.run(main())
"""
GIB = 1 << 30
BLOCK = bytes(1 << 18)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["down", "up"])
async def test_a_gibibyte_streams_through_with_flat_memory(direction: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if direction == "down":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIB)
            for _ in range(GIB // len(BLOCK)):
                writer.write(BLOCK)
                await writer.drain()
        else:
            left = GIB
            while left:
                left -= len(await reader.read(1 << 18))
            writer.write(OK)
        await reader.read()

    async with running(script) as setup:
        started = time.perf_counter()
        grown = await _through_a_process(setup, direction)
        assert time.perf_counter() - started < 20
        assert grown < 16 * 1024


async def _through_a_process(setup: Setup, direction: str) -> int:
    """Send 1 GiB through an edge of its own process; returns by how many KiB that process grew at its peak."""
    pipe = asyncio.subprocess.PIPE
    url = f"http://127.0.0.1:{setup.upstream.port}"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", EDGE, url, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    try:
        port, before = (await process.stdout.readline()).split()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port), limit=1 << 20)
        if direction == "down":
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            left = GIB
            while left:
                left -= len(await reader.read(1 << 18))
        else:
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % GIB)
            for _ in range(GIB // len(BLOCK)):
                writer.write(BLOCK)
                await writer.drain()
            assert await reader.readexactly(len(OK)) == OK
        writer.close()
        peak, _ = await process.communicate(b"")
        return int(peak) - int(before)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
