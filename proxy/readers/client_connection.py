"""One connection to an upstream: bytes to responses with llhttp, one exchange at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy.errors import UpstreamError
from proxy.readers.client_response import ClientResponse, UpgradedStream
from proxy.readers.client_upload import send_body
from proxy.readers.client_whole import Whole
from proxy.readers.client_wire import CRUMB, MAX_CRUMBS, content_length, head_fault, size_of

Expected = ClientResponse | Whole

MAX_INFORMATIONAL = 16
"""1xx responses taken before one final response; more is a fault of the upstream."""


class Owner(Protocol):
    """The pool, as its connections see it."""

    def released(self, connection: Connection) -> None:
        """The connection is idle and may be used again."""

    def lost(self, connection: Connection) -> None:
        """The connection is closed."""


class Connection(asyncio.Protocol):
    """The asyncio protocol of one upstream connection.

    `touched` is the loop time of the last byte either way, `answered` whether the current exchange has
    seen a byte of its response, `uses` how many exchanges were begun.
    """

    def __init__(self, owner: Owner, max_header_bytes: int) -> None:
        self._owner = owner
        self._max_header_bytes = max_header_bytes
        self.loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._meta = 0
        self._bodied = False
        self._headed = False
        self._until_close = False
        self._plain = False  # the head is being parsed by itself
        self._left = 0  # bytes of a body that are still to come past the parser
        self._informational = 0
        self._chunks = self._fed = 0  # pieces of a body that came by the parser, and their bytes
        self._finished = False
        self._keep = self._last = False
        self._excess = False
        self._error: UpstreamError | None = None
        self._tunnel: UpgradedStream | None = None
        self._drain_waiter: asyncio.Future[None] | None = None
        self.write_paused = False
        self.response: Expected | None = None
        self.uploading = False
        self.expects_upgrade = False
        self.touched = self.loop.time()
        self.answered = False
        self.closed = False
        self.uses = 0

    def begin(self, response: Expected, head: bytes, *, upgrade: bool = False, last: bool = False) -> None:
        """Send a request head (with a body that is known); `response` takes what comes back. `last`: nothing else is
        sent on this connection."""
        self.response = response
        self.uses += 1
        self.touched = self.loop.time()
        self.answered = self._headed = self._until_close = self._finished = False
        self._informational = self._meta = self._left = self._chunks = self._fed = 0
        self.expects_upgrade = upgrade
        self._last = last
        if self._transport is None or self._transport.is_closing():
            self._break(UpstreamError("reset", "the upstream closed the connection"))
        else:
            self._transport.write(head)

    async def upload(self, body: AsyncIterable[bytes], length: int | None) -> None:
        """Send a streamed body as `send_body` does. Breaks the exchange on failure."""
        response = self.response
        try:
            await send_body(self, body, length)
        except UpstreamError as error:
            if self.response is response:
                self._break(error)
        finally:
            if self.response is response:
                self.uploading = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.feed(data)
            return
        if self.response is None:
            self.abort()
            return
        self.touched = self.loop.time()
        self._bodied = False
        self._meta += len(data)
        try:
            if self._left:
                self._plain_body(data)
            elif self.answered:
                self._parser.feed_data(data)
            else:
                self.answered = True
                self._beginning(data)
        except HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
            return
        except HttpParserError as error:
            if not self._finished:
                cause = error.__context__
                if not isinstance(cause, UpstreamError):
                    cause = UpstreamError("protocol", f"the upstream does not speak HTTP/1.1: {error}")
                self._break(cause)
                return
            self._excess = True
        if self._finished:
            self._end_exchange()
        elif self._bodied:
            self._meta = 0
        elif self._meta > self._max_header_bytes:
            self._break(self._too_long())

    def _too_long(self) -> UpstreamError:
        return UpstreamError("protocol", f"header over {self._max_header_bytes} bytes")

    def _beginning(self, data: bytes) -> None:
        """The first bytes of a response. A body whose length the head tells is taken past the parser, which would only
        copy it; the next message on this connection gets a parser of its own."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self._parser.feed_data(data)
            return
        self._plain = True
        self._parser.feed_data(data[:end])
        self._plain = False
        rest = data[end:]
        if self._left:
            self._parser = HttpResponseParser(self)
            if rest:
                self._plain_body(rest)
        elif rest:
            try:
                self._parser.feed_data(rest)
            except HttpParserUpgrade as upgrade:
                raise HttpParserUpgrade(end + upgrade.args[0]) from None

    def _plain_body(self, data: bytes) -> None:
        response, left = self.response, self._left - len(data)
        self._bodied = True
        if left < 0:
            self._excess = True
            data = data[:left]
        self._left = max(left, 0)
        self._finished = left <= 0
        if response is not None:
            response.feed(data)

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            self._tunnel.finish()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._transport = None
        if self._tunnel is not None:
            if exc is None:
                self._tunnel.finish()
            self._tunnel.fail(UpstreamError("reset", "the upgraded connection was reset"))
        elif self.response is not None:
            if self._until_close and exc is None and self._error is None:
                self._detach().finish()
            else:
                text = "the upstream closed the connection before its response was complete"
                self._detach().fail(self._error or UpstreamError("reset", text))
        self.write_paused = False
        self._wake_drain()
        self._owner.lost(self)

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        self._wake_drain()

    def _wake_drain(self) -> None:
        waiter, self._drain_waiter = self._drain_waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # llhttp

    def on_message_begin(self) -> None:
        if self._finished:
            self._excess = True
        self._reason = b""
        self._fields = []

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        response = self.response
        if response is None or self._finished:
            return
        fields = tuple(self._fields)
        self._fields = []
        if (fault := head_fault(status, self._parser.get_http_version(), self._reason, len(fields))) is not None:
            raise UpstreamError("protocol", fault)
        if self._meta > self._max_header_bytes and size_of(fields) > self._max_header_bytes:
            raise self._too_long()
        if status < 200 and status != 101:
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise UpstreamError("protocol", f"more than {MAX_INFORMATIONAL} informational responses")
            if response.on_informational is not None:
                response.on_informational(status, self._reason, fields)
            return
        if status == 101 and not self.expects_upgrade:
            raise UpstreamError("protocol", "the upstream switched protocols without being asked")
        response.status = status
        response.reason = self._reason
        response.version = version = self._parser.get_http_version()
        response.headers = fields
        tokens: list[bytes] = []
        for name, value in fields:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                response.length = content_length(value)
            elif size == 10 and name.lower() == b"connection":
                tokens += [token.strip(b" \t").lower() for token in value.split(b",")]
            elif size == 17 and name.lower() == b"transfer-encoding":
                if value.strip(b" \t").lower() != b"chunked" or response.chunked or version == "1.0":
                    raise UpstreamError("protocol", f"Transfer-Encoding {value[:40]!r} is not understood")
                response.chunked = True
        self._headed = self._bodied = True
        if status == 101:
            return
        bodiless = response.method == "HEAD" or status in (204, 304)
        self._until_close = not bodiless and not response.chunked and response.length is None
        self._keep = b"close" not in tokens and (version == "1.1" or b"keep-alive" in tokens)
        if response.method == "HEAD":
            # llhttp is not told the method and would now wait for a body.
            self._finished = True
        elif self._plain and not bodiless and not response.chunked:
            self._left = response.length or 0
        response.arrived()

    def on_chunk_header(self) -> None:
        self._fields = []

    def on_body(self, data: bytes) -> None:
        self._bodied = True
        self._left = max(self._left - len(data), 0)
        if self._finished or self.response is None:
            self._excess = True
        else:
            self._chunks += 1
            self._fed += len(data)
            if self._chunks > MAX_CRUMBS and self._fed < CRUMB * self._chunks and not self.response.crumbs:
                raise UpstreamError("protocol", f"more than {MAX_CRUMBS} chunks of less than {CRUMB} bytes")
            self.response.feed(data)
            if self.closed:
                # Who takes it has had enough; the parser would go on through thousands of chunks more.
                raise UpstreamError("reset", "the response is no longer wanted")

    def on_message_complete(self) -> None:
        if not self._headed or self.response is None or self.response.status == 101 or self._finished:
            return
        if self.response.chunked:
            self.response.trailers = tuple(self._fields)
        self._finished = True
        # Asked here, because the parser forgets the message when this returns.
        self._keep = self._parser.should_keep_alive()

    def _detach(self) -> Expected:
        response, self.response = self.response, None
        assert response is not None  # noqa: S101 - callers have looked
        return response

    def _end_exchange(self) -> None:
        response = self._detach()
        reusable = not self._excess and not self.uploading and self._keep and not self._last
        if self.uploading and response.upload is not None:
            response.upload.cancel()
        self.uploading = False
        response.finish()
        if response.method == "HEAD":
            self._parser = HttpResponseParser(self)
        if reusable and self._transport is not None and not self._transport.is_closing():
            self._owner.released(self)
        else:
            self.close()

    def _upgrade(self, tail: bytes) -> None:
        response = self._detach()
        assert isinstance(response, ClientResponse)  # noqa: S101 - nothing else asks for an upgrade
        response.upgraded = self._tunnel = UpgradedStream(self)
        if tail:
            self._tunnel.feed(tail)
        response.complete = True
        response.arrived()

    def _break(self, error: UpstreamError) -> None:
        """End the current exchange with `error` and the connection with it."""
        self._error = error
        if self.response is not None:
            if self.response.upload is not None and self.response.upload is not asyncio.current_task():
                self.response.upload.cancel()
            self._detach().fail(error)
        self.abort()

    def timed_out(self, why: str) -> None:
        self._break(UpstreamError("timeout", why))

    # Source

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def touch(self) -> None:
        self.touched = self.loop.time()

    def write(self, data: bytes) -> None:
        """Raises UpstreamError once the connection is gone."""
        if self._transport is None or self._transport.is_closing():
            raise self._error or UpstreamError("reset", "the upstream closed the connection")
        self.touched = self.loop.time()
        self._transport.write(data)

    async def drain(self) -> None:
        if self.write_paused:
            if self._drain_waiter is None:
                self._drain_waiter = self.loop.create_future()
            await asyncio.shield(self._drain_waiter)

    def write_eof(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def close(self) -> None:
        """Close after what was written has gone out."""
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
