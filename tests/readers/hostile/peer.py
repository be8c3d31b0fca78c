"""A backend that says whatever bytes a test wants, and a client that tells how a connection ended."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

BODY = b'{"n":1}'
JSON = b"Content-Type: application/json\r\n"
GOOD = b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 7\r\n\r\n" + BODY

PATIENCE = 30.0
"""Seconds after which a test gives up; nothing here takes so long on purpose."""


class Line:
    """One connection from the proxy, with one request read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self._reader = reader
        self._writer = writer
        self.head = head

    async def send(self, data: bytes) -> None:
        """Hand over bytes; waits while the proxy takes none. Raises ConnectionError when it has gone."""
        self._writer.write(data)
        await self._writer.drain()
        if self._writer.is_closing():
            raise ConnectionResetError

    def close(self) -> None:
        """Close in order: FIN behind what was sent."""
        self._writer.close()

    async def half_close(self) -> None:
        """Close the sending direction only, and stay until the proxy goes."""
        self._writer.write_eof()
        await self.gone()

    def reset(self) -> None:
        """Break off: RST, ahead even of bytes that the proxy has not read."""
        break_off(self._writer)

    async def gone(self) -> None:
        """Say nothing until the proxy ends the connection."""
        while await self._reader.read(65_536):
            pass


Script = Callable[[Line], Awaitable[None]]


def break_off(writer: asyncio.StreamWriter) -> None:
    sock = writer.transport.get_extra_info("socket")
    if sock is not None and not writer.transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def says(*parts: bytes) -> Script:
    """Send these and stay for the next request."""

    async def script(line: Line) -> None:
        for part in parts:
            await line.send(part)

    return script


def ends(*parts: bytes) -> Script:
    """Send these, then FIN."""

    async def script(line: Line) -> None:
        await says(*parts)(line)
        line.close()

    return script


def hangs(*parts: bytes) -> Script:
    """Send these, then nothing more, without closing."""

    async def script(line: Line) -> None:
        await says(*parts)(line)
        await line.gone()

    return script


def endless(start: bytes, piece: bytes) -> Script:
    """Send `piece` for as long as it is taken."""

    async def script(line: Line) -> None:
        await line.send(start)
        while True:
            await line.send(piece)

    return script


class Peer:
    """Serves each last step of the path by the script of that name, and all else by `GOOD`."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.asked: Counter[str] = Counter()
        """Connections that were last asked for a name and have not ended."""
        self.connections = 0
        self.greeting = b""
        """What is said to each new connection before it has asked."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        name = ""
        try:
            writer.write(self.greeting)
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked[name] -= 1
                name = head.split(b" ", 2)[1].rpartition(b"/")[2].decode()
                self.asked[name] += 1
                await self.scripts.get(name, says(GOOD))(Line(reader, writer, head))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.asked[name] -= 1
            self._writers.discard(writer)
            writer.close()


@dataclass(frozen=True, slots=True)
class Got:
    """All bytes that a client got on a connection of its own, and how it ended."""

    data: bytes
    end: Literal["closed", "reset"]

    @property
    def final(self) -> bytes:
        """The response without the informational ones before it."""
        data = self.data
        while data.startswith(b"HTTP/1.1 1"):
            data = data.partition(b"\r\n\r\n")[2]
        return data

    @property
    def head(self) -> bytes:
        """The head without what the edge adds because the client asked for the end of the connection."""
        return self.final.partition(b"\r\n\r\n")[0].replace(b"\r\nConnection: close", b"") + b"\r\n\r\n"

    @property
    def body(self) -> bytes:
        """The body without its chunks."""
        body = self.final.partition(b"\r\n\r\n")[2]
        if b"\r\nTransfer-Encoding: chunked\r\n".lower() not in self.head.lower() or not body:
            return body
        pieces = []
        while body:
            size, _, body = body.partition(b"\r\n")
            length = int(size, 16)
            pieces.append(body[:length])
            if not length:
                return b"".join(pieces)
            body = body[length + 2 :]
        assert self.end == "reset", f"chunks that end in order have a last one: {self.data!r}"
        return b"".join(pieces)


async def ask(url: str, target: str, method: str = "GET", host: str = "a") -> Got:
    """One request on a connection of its own, read until it ends."""
    address, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    got = bytearray()
    try:
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            while piece := await reader.read(1 << 20):
                got += piece
        return Got(bytes(got), "closed")
    except ConnectionError:
        return Got(bytes(got), "reset")
    finally:
        writer.transport.abort()
