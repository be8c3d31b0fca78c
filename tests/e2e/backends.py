"""Scripted backends for whole-proxy tests: real sockets, answers to the byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Answers one request head (the bytes up to the empty line); closing the writer ends the connection."""


@asynccontextmanager
async def backend(script: Script) -> AsyncIterator[str]:
    """Serve `script` on a free port; yields the URL."""
    open_writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                await script(head, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            open_writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        for writer in list(open_writers):
            writer.transport.abort()
        await server.wait_closed()


def answering(answer: bytes) -> Script:
    """The same bytes to every request."""

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return script


def response(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/json", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def target_of(head: bytes) -> bytes:
    return head.split(b" ", 2)[1]


async def fetch(url: str, target: bytes = b"/api/things/1", *fields: bytes, authority: bytes = b"shop.test") -> bytes:
    """Everything that the proxy sends on one connection for one request, to the last byte."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        lines = [b"GET " + target + b" HTTP/1.1", b"Host: " + authority, b"Connection: close", *fields]
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        async with asyncio.timeout(30):  # wait_for may swallow the end of who asks, before Python 3.12
            return await reader.read()
    finally:
        writer.close()
