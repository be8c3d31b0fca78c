"""A response that is wanted as a whole, and by no task: what has come is handed on when the last byte is in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.errors import UpstreamError
from proxy.model import Headers
from proxy.readers.client_response import Head, OnInformational, Source
from proxy.readers.client_wire import gather


class Whole(Head):
    """Gathers one response of at most `limit` body bytes.

    `done` is called once, with `body` or with `error` set, unless `abort` came first; then never. It may run while
    bytes are being taken in, so it must neither raise nor take long. `deadline` is the loop time when waiting ends.
    """

    __slots__ = (
        "_done",
        "_limit",
        "_pieces",
        "_size",
        "_source",
        "body",
        "chunked",
        "deadline",
        "error",
        "has_head",
        "headers",
        "length",
        "method",
        "reason",
        "status",
        "trailers",
        "version",
    )
    timed = True
    crumbs = False
    waiting = True
    on_informational: OnInformational | None = None
    upload: asyncio.Task[None] | None = None

    def __init__(self, method: str, source: Source, limit: int, deadline: float, done: Callable[[Whole], None]) -> None:
        self.method = method
        self.deadline = deadline
        self.has_head = self.chunked = False
        self.status = 0
        self.reason = b""
        self.headers: Headers = ()
        self.trailers: Headers = ()
        self.length: int | None = None
        self.body: bytes | None = None
        self.error: UpstreamError | None = None
        self._source = source
        self._limit = limit
        self._done: Callable[[Whole], None] | None = done
        self._pieces: list[bytes] = []
        self._size = 0

    def arrived(self) -> None:
        """The head is complete."""
        self.has_head = True
        if self.length is not None and self.length > self._limit and self.method != "HEAD":
            self._refuse("too_large", f"the body is over {self._limit} bytes")

    def feed(self, data: bytes) -> None:
        if self._done is None:
            return
        self._size += len(data)
        if self._size > self._limit:
            self._refuse("too_large", f"the body is over {self._limit} bytes")
        else:
            gather(self._pieces, data)

    def finish(self) -> None:
        """Everything has been fed."""
        if self._done is not None:
            self.body = b"".join(self._pieces)
            self._end()

    def fail(self, error: UpstreamError) -> None:
        if self._done is not None:
            self.error = error
            self._end()

    def abort(self) -> None:
        """Nobody wants it any more: the connection is closed unless it is done with this response already."""
        if self._done is not None:
            self._done = None
            self._pieces.clear()
            self._source.abort()

    def _refuse(self, code: str, text: str) -> None:
        self.error = UpstreamError(code, text)
        self._end()
        self._source.abort()

    def _end(self) -> None:
        done, self._done = self._done, None
        self._pieces = []
        if done is not None:
            done(self)
