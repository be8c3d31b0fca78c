"""What a client sees when the primary fails, and what the primary sees when a client goes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.edge.server import Edge
from proxy.model import Headers
from proxy.readers.client import HttpClient
from tests.edge.support import Tape, answering, running

GET = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def parts(got: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    return int(head.split()[1]), json.loads(body)


async def test_a_primary_that_is_away_gives_502_with_a_problem_document() -> None:
    tape = Tape()
    primary = HttpClient("http://127.0.0.1:1", connect_timeout=1, idle_timeout=1, max_connections=2, max_idle=1)
    edge = Edge(primary=primary, open_tap=lambda *_: tape)
    await edge.start("127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection(*edge.address)
        writer.write(GET)
        status, problem = parts(await reader.read())
        writer.close()
        assert (status, problem["status"], problem["title"]) == (502, 502, "Bad Gateway")
        assert "127.0.0.1" not in json.dumps(problem)
        assert tape.names == ["failed"]
        assert tape.calls == [("failed", "refused")]
        reader, writer = await asyncio.open_connection(*edge.address)
        writer.write(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        for _ in range(2):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
        writer.close()
    finally:
        await edge.stop(0)
        await primary.close()


async def test_a_silent_primary_gives_504() -> None:
    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with running(script, client={"idle_timeout": 0.2}) as setup:
        status, _ = parts(await setup.exchange(GET))
        assert status == 504
        assert setup.tapes[0].calls[-1] == ("failed", "timeout")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"HTTP/1.1 103 E\r\n\r\n" * 30,
    ],
)
async def test_an_answer_that_is_none_gives_502(answer: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with running(script) as setup:
        got = await setup.exchange(GET)
        assert parts(got[got.index(b"HTTP/1.1 502") :])[0] == 502
        assert setup.tapes[0].names == ["open", "failed"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\n\r\npart",
    ],
    ids=["length", "chunked", "bad chunk", "until close"],
)
async def test_a_primary_that_breaks_off_breaks_the_clients_transfer(answer: bytes) -> None:
    go = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await go.wait()
        writer.transport.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0: RST
        writer.transport.abort()

    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        if b"ZZ" not in answer:
            await reader.readuntil(b"part")
        go.set()
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(5):
                await reader.read()
        writer.close()
        await setup.tapes[0].closed.wait()
        assert setup.tapes[0].names[-1] == "failed"


async def test_a_client_that_goes_away_ends_the_upstream_request_at_once() -> None:
    gone = asyncio.Event()
    begun = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        begun.set()
        assert await reader.read() == b""
        gone.set()

    async with running(script) as setup:
        _, writer = await setup.connect()
        writer.write(GET)
        await begun.wait()
        writer.close()
        async with asyncio.timeout(2):
            await gone.wait()
            await setup.tapes[0].closed.wait()
        assert setup.tapes[0].names == ["open", "cancelled"]
        assert setup.client.open_connections == 0


async def test_a_client_that_goes_in_the_middle_of_a_body_cancels() -> None:
    gone = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        await reader.read()
        gone.set()

    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write(GET)
        await reader.readuntil(b"part")
        writer.close()
        async with asyncio.timeout(2):
            await gone.wait()
            await setup.tapes[0].closed.wait()
        assert setup.tapes[0].names[-1] == "cancelled"


class Raising(Tape):
    """A tap that raises in one of its methods."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.wants_request_body = True
        setattr(self, where, self._raise)

    def _raise(self, *_: object) -> None:
        raise RuntimeError("planted")


@pytest.mark.parametrize("where", ["open_tap", "request_body", "response_head", "response_body", "end"])
async def test_the_clients_bytes_are_the_same_with_a_tap_that_raises(where: str) -> None:
    answer = b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nok"
    taps: list[Raising] = []

    def open_tap(_method: str, _target: str, _headers: Headers) -> Tape:
        if where == "open_tap":
            raise RuntimeError("planted")
        taps.append(Raising(where))
        return taps[-1]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"abc")
            writer.write(answer)

    async with running(script, open_tap=open_tap) as setup:
        reader, writer = await setup.connect()
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            assert await reader.readexactly(len(answer)) == answer
        writer.close()
        assert setup.edge.tap_faults == 2
        if where in ("request_body", "response_head", "response_body"):
            assert [tap.names[-1] for tap in taps] == ["cancelled", "cancelled"]


async def test_stopping_lets_an_exchange_end_and_breaks_off_what_takes_too_long() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        begun.set()
        if b"/slow" in head:
            await reader.read()
        await finish.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(setup.edge.stop(5))
            finish.set()
            assert await reader.read() == (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()
    begun.clear()
    async with running(script) as setup:
        reader, writer = await setup.connect()
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        await setup.edge.stop(0.05)
        assert await reader.read() == b""
        writer.close()
        assert setup.edge.active == 0
        assert setup.tapes[0].names[-1] == "cancelled"


async def test_no_tap_means_pass_through() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    async with running(answering(answer), open_tap=lambda *_: None) as setup:
        assert b"\r\n\r\nok" in await setup.exchange(GET)


async def test_a_fault_of_the_edge_is_logged_without_what_was_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    async with running(answering(b"")) as setup:

        class Broken:
            authority = b"x"

            async def send(self, *_args: object, **_options: object) -> None:
                raise RuntimeError("out of order")

        setup.edge._primary = Broken()  # type: ignore[assignment] # raises what no upstream may
        with pytest.raises(ConnectionResetError):
            await setup.exchange(b"GET /reset/5e55104a?token=5e55104a HTTP/1.1\r\nHost: x\r\n\r\n")
    (record,) = [record for record in caplog.records if "the edge failed" in record.getMessage()]
    assert record.getMessage() == "the edge failed on GET /reset/*"
    assert "5e55104a" not in caplog.text
