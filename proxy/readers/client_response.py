"""What an upstream answers: the head, and a body read piece by piece with a bounded buffer behind it."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from proxy.errors import UpstreamError
from proxy.model import Headers
from proxy.readers.client_wire import gather

HIGH_WATER = 256 * 1024
"""Bytes held for a reader before the upstream is told to wait."""

OnInformational = Callable[[int, bytes, Headers], None]
"""Called with status, reason and fields of each 1xx response as it arrives (never with 101)."""


class Flow(Protocol):
    """Something that feeds a buffer and can be told to wait. `touch` says that a reader began to wait."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def touch(self) -> None: ...


class Source(Flow, Protocol):
    """The connection a body or a tunnel comes from."""

    def abort(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    def write_eof(self) -> None: ...


class Buffer:
    """Pieces of bytes between one connection that feeds and one reader that waits, bounded by back-pressure."""

    __slots__ = ("_chunks", "_error", "_flow", "_paused", "_size", "_waiter", "complete")

    def __init__(self, flow: Flow) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._flow: Flow | None = flow
        self.complete = False
        """All bytes have arrived (some may still be waiting to be read)."""

    def feed(self, data: bytes) -> None:
        gather(self._chunks, data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._paused and self._flow is not None:
            self._paused = True
            self._flow.pause()
        self._wake()

    def finish(self) -> None:
        """Everything has been fed; the source is let go, and may serve another exchange at once."""
        if self.complete or self._error is not None:
            return
        self.complete = True
        self._release()
        self._wake()

    def fail(self, error: UpstreamError) -> None:
        if self.complete or self._error is not None:
            return
        self._error = error
        self._release()
        self._wake()

    def _release(self) -> None:
        flow, self._flow = self._flow, None
        if self._paused and flow is not None:
            self._paused = False
            flow.resume()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    @property
    def waiting(self) -> bool:
        """Whether a reader is waiting for the source at this moment."""
        return self._waiter is not None

    def take(self) -> bytes:
        """All bytes that have arrived and were not read yet, without waiting; may be empty."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks.popleft() if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            if self._flow is not None:
                self._flow.resume()
        return data

    async def read(self) -> bytes:
        """The next bytes, as many as are there; empty at the end. Raises UpstreamError when it broke off."""
        while not self._chunks:
            if self.complete:
                return b""
            if self._error is not None:
                raise self._error
            if self._flow is not None:
                self._flow.touch()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.take()


class UpgradedStream(Buffer):
    """The raw bytes of a connection after 101. Each direction is closed on its own where the transport can."""

    __slots__ = ("_closed", "_source")

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._source = source
        self._closed = False

    def write(self, data: bytes) -> None:
        """Raises UpstreamError once the upstream is gone."""
        self._source.write(data)

    async def drain(self) -> None:
        """Wait until the upstream takes more."""
        await self._source.drain()

    def write_eof(self) -> None:
        """Nothing more will be written. Over TLS, where one direction cannot close alone, both do."""
        self._source.write_eof()

    def close(self) -> None:
        """Close once what was written has gone out."""
        self._closed = True
        self._source.close()

    def abort(self) -> None:
        """Close now, unless it is being closed in order."""
        if not self._closed:
            self._source.abort()


class Head:
    """The head of a response, as it was on the wire."""

    __slots__ = ()
    method: str
    status: int
    reason: bytes
    version: str
    headers: Headers
    trailers: Headers
    length: int | None
    """Content-Length as sent; None when the body is chunked or ends with the connection."""
    chunked: bool


class ClientResponse(Buffer, Head):
    """One response. Must be read to its end or aborted; iterating gives the body piece by piece.

    A body that ends short of what was promised raises UpstreamError (reset or protocol), never ends quietly.
    `timed` off lifts the idle timeout, for streams that may be silent on purpose. `crumbs` off refuses a body in very
    many tiny chunks (see `MAX_CRUMBS`).
    """

    __slots__ = (
        "_source",
        "chunked",
        "crumbs",
        "headed",
        "headers",
        "length",
        "method",
        "on_informational",
        "reason",
        "status",
        "timed",
        "trailers",
        "upgraded",
        "upload",
        "version",
    )
    deadline = math.inf

    def __init__(
        self,
        method: str,
        source: Source,
        on_informational: OnInformational | None,
        loop: asyncio.AbstractEventLoop,
        *,
        timed: bool = True,
        crumbs: bool = True,
    ) -> None:
        super().__init__(source)
        self.crumbs = crumbs
        self._source = source
        self.method = method
        self.on_informational = on_informational
        self.headed: asyncio.Future[None] = loop.create_future()
        self.upload: asyncio.Task[None] | None = None
        self.timed = timed
        self.status = 0
        self.reason = b""
        self.version = ""
        self.headers = ()
        self.trailers = ()
        self.length = None
        self.chunked = False
        self.upgraded: UpgradedStream | None = None

    @property
    def has_head(self) -> bool:
        return self.headed.done()

    def arrived(self) -> None:
        """The head is complete."""
        if not self.headed.done():
            self.headed.set_result(None)

    def fail(self, error: UpstreamError) -> None:
        if not self.headed.done():
            self._flow = None
            self.headed.set_exception(error)
            return
        super().fail(error)

    @property
    def waiting(self) -> bool:
        return self._waiter is not None or not self.headed.done()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece

    def abort(self) -> None:
        """Break the exchange off: the connection is closed unless it is done with this response already."""
        if self.upload is not None:
            self.upload.cancel()
        if self.upgraded is not None:
            self.upgraded.abort()
        elif self._flow is not None:
            self._source.abort()

    async def stop_upload(self) -> None:
        """End the sending of a request body that the response did not wait for."""
        if self.upload is not None and not self.upload.done():
            self.upload.cancel()
            await asyncio.wait((self.upload,))
