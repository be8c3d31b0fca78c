"""An open-loop load: `python -m tests.bench.isolation_load` runs the rounds told on stdin, a JSON line each way.

Requests are due at fixed moments whether or not earlier ones have been answered, and a latency counts from the moment
the request was due: what has to wait because others are slow counts as slow itself (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import cast

import msgspec
import uvloop

from tests.bench.isolation_documents import opening, targets

GIVE_UP = 20.0
"""Seconds after the last request was due; what has not been answered then counts as unanswered."""
START_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """`rate` requests a second for `seconds`, serials from `first` on; the first `warmup` seconds are not timed."""

    port: int
    kind: str
    first: int
    rate: float
    seconds: float
    warmup: float = 0.0
    connections: int = 32


@dataclass(frozen=True, slots=True)
class Result:
    """`latencies` and `lags` in microseconds, in the order of the answers; a lag is how late a request left.

    `sent` and `failures` count the warm-up, too.
    """

    sent: int
    latencies: list[float]
    lags: list[float]
    failures: dict[str, int] = field(default_factory=dict)


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


@contextlib.contextmanager
def ticking(start_ns: int, period_ns: int) -> Iterator[int]:
    """A timer of the kernel to wait for: the loop's own are a millisecond coarse, many times what is measured."""
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create failed; this benchmark needs Linux")
    absolute = 1
    spec = _TimerSpec(_TimeSpec(*divmod(period_ns, 10**9)), _TimeSpec(*divmod(start_ns, 10**9)))
    try:
        if libc.timerfd_settime(timer, absolute, ctypes.byref(spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")
        yield timer
    finally:
        os.close(timer)


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, round_: _Round) -> None:
        self._round = round_
        self._transport: asyncio.Transport
        self._head = b""
        self._left = 0
        self._due = 0
        self._opening = b""
        self.waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, due: int, target: bytes, serial: bytes) -> None:
        self._due, self._opening, self._head, self._left, self.waits = due, opening(serial), b"", -1, True
        self._transport.write(b"GET %s HTTP/1.1\r\nHost: shop.example\r\nAccept: application/json\r\n\r\n" % target)

    def data_received(self, data: bytes) -> None:
        if not self.waits:
            self._round.failed("an answer that nobody asked for")
        elif self._left < 0:
            self._head += data
            self._begin()
        else:
            self._more(len(data))

    def _begin(self) -> None:
        head, blank, body = self._head.partition(b"\r\n\r\n")
        if not blank or len(body) < len(self._opening):
            return
        status, _, fields = head.partition(b"\r\n")
        _, named, length = fields.lower().partition(b"content-length: ")
        if not status.startswith(b"HTTP/1.1 200") or not named or not body.startswith(self._opening):
            self._round.failed(f"answered {status.decode(errors='replace')}")
            self._round.gone(self)
            self.close()
            return
        self._left = int(length.partition(b"\r\n")[0])
        self._more(len(body))

    def _more(self, length: int) -> None:
        self._left -= length
        if self._left == 0:
            self.waits = False
            self._round.answered(self, self._due)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the name is asyncio's
        if self.waits:
            self._round.failed("the connection was lost")
        self._round.gone(self)

    def close(self) -> None:
        self.waits = False
        self._transport.close()


class _Round:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._targets = targets(load.kind, load.first)
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()
        self._behind: deque[tuple[int, bytes, bytes]] = deque()
        self._count = max(1, round(load.rate * load.seconds))
        self._period = round(10**9 / load.rate)
        self._sent = self._ended = 0
        self._done = asyncio.Event()
        self._failures: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._lags: list[float] = []
        self._next = self._timed_from = 0

    async def run(self) -> Result:
        loop = asyncio.get_running_loop()
        for _ in range(self._load.connections):
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._load.port)
            self._open.add(connection)
            self._idle.append(connection)
        self._next = time.monotonic_ns() + START_NS
        self._timed_from = self._next + round(self._load.warmup * 10**9)
        with ticking(self._next, self._period) as timer:
            loop.add_reader(timer, self._tick, timer)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._load.seconds + GIVE_UP):
                    await self._done.wait()
            loop.remove_reader(timer)
        if unanswered := self._count - self._ended:
            self._failures["unanswered"] += unanswered
        for connection in list(self._open):
            connection.close()
        return Result(self._sent, self._latencies, self._lags, dict(self._failures))

    def _tick(self, timer: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(timer, 8)
        now = time.monotonic_ns()
        while self._next <= now and self._sent + len(self._behind) < self._count:
            self._behind.append((self._next, *next(self._targets)))
            self._next += self._period
        self._send()

    def _send(self) -> None:
        while self._behind and self._idle:
            due, target, serial = self._behind.popleft()
            if due >= self._timed_from:
                self._lags.append((time.monotonic_ns() - due) / 1e3)
            self._sent += 1
            self._idle.popleft().ask(due, target, serial)

    def answered(self, connection: _Connection, due: int) -> None:
        if due >= self._timed_from:
            self._latencies.append((time.monotonic_ns() - due) / 1e3)
        self._idle.append(connection)
        self._end()
        if self._behind:
            self._send()

    def failed(self, why: str) -> None:
        self._failures[why] += 1
        self._end()

    def gone(self, connection: _Connection) -> None:
        self._open.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)

    def _end(self) -> None:
        self._ended += 1
        if self._ended >= self._count:
            self._done.set()


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin.buffer:
            load = msgspec.json.decode(line, type=Load)
            gc.collect()
            gc.disable()
            result = runner.run(_Round(load).run())
            gc.enable()
            sys.stdout.buffer.write(msgspec.json.encode(asdict(result)) + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
