"""Very many clients at once, idle or deaf: what each costs, and that others are served meanwhile."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from tests.edge.hostile.backend import Recording, answer
from tests.edge.hostile.edge_process import EdgeProcess, edge_process
from tests.edge.hostile.shapes import get
from tests.edge.support import Upstream, until

IDLE = 10_000
KIB = 1024


@pytest.fixture
def files() -> Iterator[None]:
    """As many open files as this host allows, for one test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < IDLE + 1000:
        pytest.skip(f"this host allows {hard} open files, {IDLE + 1000} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connected(port: int, count: int, sent: bytes) -> list[socket.socket]:
    """`count` clients that have sent `sent` and nothing more."""
    made = []
    for _ in range(count):
        made.append(socket.create_connection(("127.0.0.1", port), timeout=20))
        if sent:
            made[-1].sendall(sent)
    return made


async def other_clients(edge: EdgeProcess, count: int) -> float:
    """Ask one request after the other, every tenth on a new connection; returns the slowest answer in seconds."""
    slowest = 0.0
    want = answer(b"GET", b"/")
    for at in range(count):
        started = time.perf_counter()
        if at % 10 == 0:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(get())
        assert await reader.readexactly(len(want)) == want
        slowest = max(slowest, time.perf_counter() - started)
        if at % 10 == 9:
            writer.close()
    return slowest


@pytest.mark.slow
@pytest.mark.usefixtures("files")
async def test_ten_thousand_idle_connections_cost_little_and_delay_no_one() -> None:
    upstream = Upstream(Recording().script)
    await upstream.start()
    idle: list[socket.socket] = []
    try:
        async with edge_process(f"http://127.0.0.1:{upstream.port}") as edge:
            await other_clients(edge, 10)
            before = edge.resident
            for sent in (b"", b"GET / HTTP/1.1\r\nHost: a\r\nX-Begun: "):
                crowd = asyncio.create_task(asyncio.to_thread(connected, edge.port, IDLE // 2, sent))
                meanwhile = 0.0
                while not crowd.done():
                    meanwhile = max(meanwhile, await other_clients(edge, 10))
                idle += await crowd
                assert meanwhile < 2
            assert await other_clients(edge, 200) < 1
            each = (edge.resident - before) / IDLE
            print(f"an idle connection takes {each / KIB:.1f} KiB")  # noqa: T201 - shown by pytest -rP
            assert each < 24 * KIB
            for sock in idle:
                sock.close()
            assert await other_clients(edge, 200) < 2
    finally:
        for sock in idle:
            sock.close()
        await upstream.stop()


@pytest.mark.slow
async def test_a_hundred_deaf_clients_hold_a_bounded_amount_of_memory() -> None:
    size = 64 << 20
    piece = bytes(256 * KIB)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"GET /big " not in head:
                writer.write(answer(b"GET", b"/"))
                continue
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(piece)):
                writer.write(piece)
                await writer.drain()

    upstream = Upstream(script)
    await upstream.start()
    deaf: list[socket.socket] = []
    try:
        async with edge_process(f"http://127.0.0.1:{upstream.port}", client_timeout=3) as edge:
            await other_clients(edge, 10)
            before = edge.resident
            deaf = await asyncio.to_thread(connected, edge.port, 100, get(target=b"/big"))
            last = 0
            async with asyncio.timeout(20):
                # Until nothing moves any more: all that can be held is held.
                while edge.resident != last:
                    last = edge.resident
                    assert await other_clients(edge, 50) < 2
            each = (last - before) / len(deaf)
            print(f"a client that takes nothing holds {each / KIB:.0f} KiB")  # noqa: T201 - shown by pytest -rP
            assert each < 1500 * KIB
            # Each is let go after its limit, broken off so that a part does not look like the whole.
            await until(lambda: len(upstream._writers) <= 1, 20)
            for sock in deaf:
                await asyncio.to_thread(_broken_off, sock)
            assert await other_clients(edge, 10) < 2
    finally:
        for sock in deaf:
            sock.close()
        await upstream.stop()


def _broken_off(sock: socket.socket) -> None:
    try:
        while sock.recv(1 << 20):
            pass
    except ConnectionResetError:
        return
    raise AssertionError("the connection ended as if the answer were whole")
