"""aiohttp's server protocol with what a proxy needs of it: raw writes, tunnels, its own refusals."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, cast

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from proxy.edge.full import Full
from proxy.edge.problem import problem
from proxy.readers.client_response import Buffer
from proxy.telemetry.logs import path_shape

_LAST_CHUNK = b"\r\n0\r\n\r\n"


class EdgeRequest(web.BaseRequest):
    """aiohttp's request, with the parsed message and the connection in the open."""

    def __init__(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> None:
        # Of the protocol: asking for the running loop costs a system call.
        super().__init__(message, payload, protocol, writer, task, protocol._loop)  # noqa: SLF001 - it has no other name
        self.parsed = message
        self.client = cast(EdgeProtocol, protocol)


class Sent:
    """What a handler returns once it has written its response itself: aiohttp has nothing left to prepare."""

    __slots__ = ("keep_alive",)

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing to prepare."""

    async def write_eof(self) -> None:
        """Nothing to end."""


KEEP = cast(web.StreamResponse, Sent(keep_alive=True))
CLOSE = cast(web.StreamResponse, Sent(keep_alive=False))


class TunnelInput(Buffer):
    """What the client sends after an upgrade, fed by aiohttp as its payload parser."""

    __slots__ = ()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.feed(data)
        return False, b""

    def feed_eof(self) -> None:
        self.finish()


class EdgeProtocol(RequestHandler):
    """One client connection.

    aiohttp's parser carries a request's trailer fields over into the next request of the connection, so
    `ended_clean` tells whether a chunked body ended without any; if not, the connection is not used again.

    - `max_meta_bytes`: the most that may come without a whole request head or a byte of a body: heads, blank lines
      before them, sizes and extensions of chunks, trailers. aiohttp bounds single fields and their number only.
    - `unread_timeout`: seconds that a client may leave unread what was written before its connection was closed.
    """

    __slots__ = (
        "_begun",
        "_bodied",
        "_given_up",
        "_last_bytes",
        "_max_meta",
        "_meta",
        "_newest",
        "_tunnel_input",
        "_unread_timeout",
    )

    def __init__(
        self,
        manager: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        max_meta_bytes: int,
        unread_timeout: float,
        **options: Any,
    ) -> None:
        super().__init__(manager, loop=loop, **options)
        # Of requests that come before the answer to the one ahead no more are taken than one reading brings; aiohttp
        # takes 32, each with a head of any size.
        self._max_msg_queue_size, self._msg_queue_resume_size = 2, 1
        self._last_bytes = b""
        self._tunnel_input: TunnelInput | None = None
        self._max_meta = max_meta_bytes
        self._unread_timeout = unread_timeout
        self._meta = 0
        self._begun = 0
        self._bodied = 0
        self._newest: StreamReader = EMPTY_PAYLOAD
        self._given_up = False

    def data_received(self, data: bytes) -> None:
        if self._given_up:
            return
        self._last_bytes = data[-7:] if len(data) >= 7 else (self._last_bytes + data)[-7:]
        super().data_received(data)
        if self._tunnel_input is None and not self._upgraded:
            self._count_meta(len(data))
        if self._messages and self._current_request is not None:
            broken = self._messages[-1][0]
            payload = self._current_request.content
            if not isinstance(broken, RawRequestMessage) and not payload.is_eof() and payload.exception() is None:
                # The parser gave up inside this body; without this its reader would wait for ever.
                payload.set_exception(RequestPayloadError("the request body is malformed"))

    def _count_meta(self, size: int) -> None:
        if self._request_count != self._begun:
            self._begun = self._request_count
            if self._messages:
                self._newest = self._messages[-1][1]
                self._bodied = self._newest.total_bytes
                if self._meta + size > self._max_meta and any(map(self._is_large, self._messages)):
                    self._give_up()
            self._meta = 0
        elif self._newest.total_bytes != self._bodied:
            self._bodied = self._newest.total_bytes
            self._meta = 0
        elif not self._reading_paused and not self._buffer_paused:
            # A paused parser keeps what comes without looking at it.
            self._meta += size
            if self._meta > self._max_meta:
                self._give_up()

    def _is_large(self, received: tuple[Any, StreamReader]) -> bool:
        message = received[0]
        if not isinstance(message, RawRequestMessage):
            return False
        return sum(len(name) + len(value) + 4 for name, value in message.raw_headers) > self._max_meta

    def _give_up(self) -> None:
        """Read nothing more of this client; what it is owed is an error behind what it has asked for."""
        self._given_up = True
        large = [at for at, received in enumerate(self._messages) if self._is_large(received)]
        for _ in range(len(self._messages) - large[0] if large else 0):
            self._messages.pop()
        if not self._newest.is_eof() and self._newest.exception() is None:
            self._newest.set_exception(RequestPayloadError("the framing of the request body is larger than allowed"))
        error = LineTooLong(b"", self._max_meta)
        self._messages.append((_ErrInfo(status=400, exc=error, message=error.message), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        # A body that its client broke off or wrote wrongly is no fault here, and would fill the log for anyone.
        if not isinstance(kw.get("exc_info"), RequestPayloadError):
            super().log_exception(*args, **kw)

    async def start(self) -> None:
        transport = self.transport
        try:
            await super().start()
        finally:
            self._drop_unread(transport)

    def force_close(self) -> None:
        transport = self.transport
        super().force_close()
        self._drop_unread(transport)

    def _drop_unread(self, transport: asyncio.Transport | None) -> None:
        """A transport that is closed waits for its client to take the rest; it shall not wait for ever."""
        if transport is not None and transport.is_closing() and transport.get_write_buffer_size():
            self._loop.call_later(self._unread_timeout, transport.abort)

    @property
    def ended_clean(self) -> bool:
        return self._last_bytes == _LAST_CHUNK and not self._messages

    def eof_received(self) -> bool | None:  # type: ignore[override] # aiohttp narrows the base class's result
        if self._tunnel_input is None:
            return None
        self._tunnel_input.finish()
        return True

    def hold_upgrade(self) -> None:
        """Keep what follows an upgrade request raw until the primary has decided, for any protocol's name."""
        self._upgraded = True

    def open_tunnel(self) -> TunnelInput:
        """From now on the client's bytes go to the returned buffer, unparsed."""
        self._tunnel_input = TunnelInput(self)
        self.set_parser(cast(Any, self._tunnel_input))
        return self._tunnel_input

    def pause(self) -> None:
        self._pause_transport_reading()

    def resume(self) -> None:
        self._resume_transport_reading()

    def touch(self) -> None:
        """A waiting tunnel is not timed."""

    def write(self, data: bytes) -> None:
        """Raises ConnectionResetError once the client is gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(data)

    def writelines(self, pieces: list[bytes]) -> None:
        """Raises ConnectionResetError once the client is gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.writelines(pieces)

    async def drain(self, timeout: float | None) -> None:
        """Wait until the client takes more; raises TimeoutError after `timeout` seconds (None: no limit)."""
        if self.writing_paused:
            async with asyncio.timeout(timeout):
                await self._drain_helper()

    def write_eof(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write_eof()

    def reset(self) -> None:
        """Break the connection so that the client cannot take what it has for complete (RST, not FIN)."""
        transport = self.transport
        if transport is None:
            return
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What the parser refused: answered with a problem document, not logged (anyone can cause it).

        A fault of the edge itself is logged and breaks the connection, for part of a response may be out.
        """
        del message  # it may quote what the client sent
        if status >= 500:
            self.log_exception("the edge failed on %s %s", request.method, path_shape(request.path), exc_info=exc)
            self.reset()
            return CLOSE
        if isinstance(exc, LineTooLong):
            status, detail = 431, "The request head is larger than allowed."
        else:
            detail = "The request is malformed."
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(problem(status, detail, close=True))
        return CLOSE


class EdgeServer(web.Server):
    """aiohttp's low-level server, making EdgeProtocol connections, `most` at once."""

    def __init__(self, *args: Any, most: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self.most = most
        self.refused = 0
        self._told: set[Full] = set()

    def __call__(self) -> RequestHandler:
        if len(self._connections) >= self.most:
            self.refused += 1
            return cast(RequestHandler, Full(self._told))
        return EdgeProtocol(self, loop=self._loop, **self._kwargs)
