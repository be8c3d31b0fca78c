"""A scripted upstream that speaks raw bytes, a raw client, and a tap that writes down what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from proxy.edge.server import Edge
from proxy.model import Headers
from proxy.readers.client import HttpClient

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for a condition that nothing announces; TimeoutError when it does not come."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - sockets of the other side give no event to wait for
            await asyncio.sleep(0.001)


class Tape:
    """A tap that keeps every call."""

    def __init__(self, *, wants_request_body: bool = False) -> None:
        self.wants_request_body = wants_request_body
        self.traceparent = b""
        self.calls: list[tuple[Any, ...]] = []
        self.closed = asyncio.Event()

    def request_body(self, chunk: bytes) -> None:
        self.calls.append(("request_body", chunk))

    def response_head(self, status: int, headers: Headers) -> None:
        self.calls.append(("response_head", status, headers))

    def response_body(self, chunk: bytes) -> None:
        self.calls.append(("response_body", chunk))

    def end(self) -> None:
        self.calls.append(("end",))
        self.closed.set()

    def failed(self, code: str) -> None:
        self.calls.append(("failed", code))
        self.closed.set()

    def cancelled(self) -> None:
        self.calls.append(("cancelled",))
        self.closed.set()

    def body(self, name: str = "response_body") -> bytes:
        return b"".join(call[1] for call in self.calls if call[0] == name)

    @property
    def names(self) -> list[str]:
        """The calls in order, body pieces told as one."""
        out: list[str] = []
        for call in self.calls:
            if not out or out[-1] != call[0]:
                out.append(call[0])
        return out


class Upstream:
    """A TCP server whose answers are written out in the test. `heads` are the request heads it has read."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await until(lambda: not self._writers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            await self._script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)


def answering(response: bytes, seen: list[bytes] | None = None) -> Script:
    """Answer every request that has no body with the same bytes, and keep its head in `seen`."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if seen is not None:
                seen.append(head)
            writer.write(response)

    return script


class Setup:
    """A running edge in front of a running upstream, and the tape of each exchange."""

    def __init__(self, edge: Edge, upstream: Upstream, client: HttpClient, tapes: list[Tape]) -> None:
        self.edge = edge
        self.upstream = upstream
        self.client = client
        self.tapes = tapes

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self.edge.address
        return await asyncio.open_connection(host, port)

    async def exchange(self, request: bytes) -> bytes:
        """All bytes the edge sends for `request` until it closes; the request should ask it to."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def running(
    script: Script,
    *,
    wants_request_body: bool = False,
    open_tap: Any = None,
    client: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Setup]:
    upstream = Upstream(script)
    await upstream.start()
    tapes: list[Tape] = []

    def tape(method: str, target: str, headers: Headers) -> Tape:
        tapes.append(Tape(wants_request_body=wants_request_body))
        tapes[-1].calls.append(("open", method, target, headers))
        return tapes[-1]

    settings = {"connect_timeout": 2.0, "idle_timeout": 10.0, "max_connections": 64, "max_idle": 16}
    primary = HttpClient(f"http://127.0.0.1:{upstream.port}", **{**settings, **(client or {})})
    edge = Edge(primary=primary, open_tap=open_tap or tape, linger=0.5, **options)
    await edge.start("127.0.0.1", 0)
    try:
        yield Setup(edge, upstream, primary, tapes)
    finally:
        await edge.stop(0.2)
        await primary.close()
        await upstream.stop()
