"""One observed exchange: it gathers what the edge tells of the primary's answer, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.model import Headers, Observation, Side
from proxy.readers.client_wire import gather
from proxy.telemetry import UNTRACED, Untraced
from proxy.verify.judge import never_compared

NO_ROOM = "no_room"
"""The error of an observation whose body could not be held."""


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

    The observation is made exactly once: of the whole answer (its content coding still on), or with an error: a code
    of the client's, `too_large`, `no_room` or `cancelled`. Who wants it awaits `primary` or is called by `listen`.
    What is held counts in `buffered` until `release`.
    """

    __slots__ = (
        "_answered",
        "_asked",
        "_began",
        "_buffered",
        "_clock",
        "_heard",
        "_kept",
        "_loop",
        "_max_body",
        "_response_headers",
        "_seen",
        "_size",
        "_status",
        "_waiter",
        "headers",
        "method",
        "span",
        "target",
        "trace_id",
        "wants_request_body",
    )

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
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.wants_request_body = wants_request_body
        self.trace_id: str = ""
        """The distributed trace that this is part of: 32 hex digits (W3C), empty without one."""
        self.span: Untraced = UNTRACED
        self._clock = clock
        # Asking for it costs a system call, so that whoever makes many hands it in.
        self._loop = loop or asyncio.get_running_loop()
        self._began = clock()
        self._max_body = max_body
        self._buffered = buffered
        self._size = 0
        self._kept = 0
        self._asked: list[bytes] = []
        self._answered: list[bytes] = []
        self._status = 0
        self._response_headers: Headers = ()
        self._seen: Observation | None = None
        self._waiter: asyncio.Future[Observation] | None = None
        self._heard: Callable[[Observation], None] | None = None

    @property
    def primary(self) -> asyncio.Future[Observation]:
        """Resolves with the observation."""
        if self._waiter is None:
            self._waiter = self._loop.create_future()
            if self._seen is not None:
                self._waiter.set_result(self._seen)
        return self._waiter

    def listen(self, heard: Callable[[Observation], None]) -> None:
        """Have `heard` called with the observation, in a round of the event loop of its own: what the client is sent
        in this round goes out first."""
        if self._seen is None:
            self._heard = heard
        else:
            self._loop.call_soon(heard, self._seen)

    @property
    def traceparent(self) -> bytes:
        """As in `Tap`."""
        return self.span.traceparent

    @property
    def request(self) -> bytes:
        """The request body; whole once `primary` has resolved without an error."""
        return b"".join(self._asked)

    def request_body(self, chunk: bytes) -> None:
        if self._seen is None and self._room(chunk):
            gather(self._asked, chunk)

    def response_head(self, status: int, headers: Headers) -> None:
        self._status = status
        self._response_headers = headers
        if never_compared(status, headers):
            # No byte of it needs to be held.
            self._resolve(None)

    def response_body(self, chunk: bytes) -> None:
        if self._seen is None and self._room(chunk):
            gather(self._answered, chunk)

    def end(self) -> None:
        if self._seen is None:
            self._resolve(b"".join(self._answered))
            self._answered.clear()

    def failed(self, code: str) -> None:
        self._fail(code)

    def cancelled(self) -> None:
        self._fail("cancelled")

    def keep(self, seen: Observation) -> Observation:
        """What a side answered, its body counted until `release`; with the error `no_room` where there is none."""
        size = len(seen.body or b"")
        if not self._buffered.take(size):
            return seen._replace(status=None, body=None, error=NO_ROOM, detail="too many bodies are held already")
        self._kept += size
        return seen

    def release(self) -> None:
        """Give back what was held, and hold nothing more, should the answer still be coming. The observation keeps its
        own reference for as long as somebody needs it."""
        self._fail("cancelled")
        self._buffered.give_back(self._size + self._kept)
        self._size = self._kept = 0
        self._asked.clear()
        self._answered.clear()

    def _room(self, chunk: bytes) -> bool:
        if self._size + len(chunk) > self._max_body:
            self._fail("too_large")
            return False
        if not self._buffered.take(len(chunk)):
            self._fail(NO_ROOM)
            return False
        self._size += len(chunk)
        return True

    def _resolve(self, body: bytes | None) -> None:
        self._tell(
            Observation(Side.PRIMARY, self._status, self._response_headers, body, None, "", self._clock() - self._began)
        )

    def _fail(self, code: str) -> None:
        if self._seen is None:
            self._answered.clear()
            self._tell(
                Observation(Side.PRIMARY, None, self._response_headers, None, code, "", self._clock() - self._began)
            )

    def _tell(self, seen: Observation) -> None:
        self._seen = seen
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(seen)
        if self._heard is not None:
            self._loop.call_soon(self._heard, seen)
            self._heard = None
