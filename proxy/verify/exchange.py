"""One observed exchange: it gathers what the edge tells of the primary's answer, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.model import Headers, Observation, Side, header
from proxy.telemetry import UNTRACED, Untraced

SWITCHING = 101
PARTIAL = 206


class Buffered:
    """How many bytes all exchanges together may hold."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, size: int) -> bool:
        if self.held + size > self._limit:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        self.held -= size


class Exchange:
    """A `Tap` that turns what it is told into the primary's `Observation`.

    `primary` resolves exactly once: with the whole answer (its content coding still on), or with an error: a code of
    the client's, `too_large`, `no_room` or `cancelled`. `size` bytes are counted in `buffered` until `release`.
    """

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        *,
        max_body: int,
        buffered: Buffered,
        clock: Callable[[], float],
        wants_request_body: bool,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.wants_request_body = wants_request_body
        self.primary: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()
        self.trace_id: str = ""
        """The distributed trace that this is part of: 32 hex digits (W3C), empty without one."""
        self.span: Untraced = UNTRACED
        self._clock = clock
        self._began = clock()
        self._max_body = max_body
        self._buffered = buffered
        self._size = 0
        self._asked: list[bytes] = []
        self._answered: list[bytes] = []
        self._status = 0
        self._response_headers: Headers = ()

    @property
    def traceparent(self) -> bytes:
        """As in `Tap`."""
        return self.span.traceparent

    @property
    def request(self) -> bytes:
        """The request body; whole once `primary` has resolved without an error."""
        return b"".join(self._asked)

    def request_body(self, chunk: bytes) -> None:
        if not self.primary.done() and self._room(chunk):
            self._asked.append(chunk)

    def response_head(self, status: int, headers: Headers) -> None:
        self._status = status
        self._response_headers = headers
        if status in (SWITCHING, PARTIAL) or (header(headers, b"content-type") or "").startswith("text/event-stream"):
            # Nothing that will be compared: no byte of it needs to be held.
            self._resolve(None)

    def response_body(self, chunk: bytes) -> None:
        if not self.primary.done() and self._room(chunk):
            self._answered.append(chunk)

    def end(self) -> None:
        if not self.primary.done():
            self._resolve(b"".join(self._answered))

    def failed(self, code: str) -> None:
        self._fail(code)

    def cancelled(self) -> None:
        self._fail("cancelled")

    def release(self) -> None:
        """Give back what was held. The observation keeps its own reference for as long as somebody needs it."""
        self._buffered.give_back(self._size)
        self._size = 0
        self._asked.clear()
        self._answered.clear()

    def _room(self, chunk: bytes) -> bool:
        if self._size + len(chunk) > self._max_body:
            self._fail("too_large")
            return False
        if not self._buffered.take(len(chunk)):
            self._fail("no_room")
            return False
        self._size += len(chunk)
        return True

    def _resolve(self, body: bytes | None) -> None:
        self.primary.set_result(
            Observation(Side.PRIMARY, self._status, self._response_headers, body, seconds=self._clock() - self._began)
        )

    def _fail(self, code: str) -> None:
        if self.primary.done():
            return
        self._answered.clear()
        self.primary.set_result(
            Observation(Side.PRIMARY, None, self._response_headers, error=code, seconds=self._clock() - self._began)
        )
