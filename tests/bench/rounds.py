"""One round of load on one contender: requests a second, processor time, and the proof that the work was done."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from tests.bench.backend import FIRST_PAGE, target
from tests.bench.contenders import COMPARED, Backend, Contender, Server, fetch
from tests.bench.proxies import SETTLE_SECONDS, BenchError
from tests.bench.wrk import CONNECTIONS, Done, Load, NoAnswerError, Wrk

VERIFIED = 0.99
"""The least share of requests that must have been verified."""
BACKLOG_SECONDS = 0.25
"""Longer than this to verify what was left over at the end of a short run: the load is too high to go on for long."""
REST_SECONDS, REST_SHARE = 0.1, 0.25
"""Who uses less than this share of a core for so long is at rest; the clock that tells has ticks of 10 ms."""
LONGEST_PAUSE = 250.0
"""Milliseconds to begin with after a run in which next to nothing was verified."""
FEW = 2
"""Clients where more would only wait."""
TRIES = 5
_PAGES = 10_000_000


class UnverifiedError(BenchError):
    """Fewer exchanges than asked for were verified, or too late; `rate` of them were a second."""

    def __init__(self, text: str, rate: float) -> None:
        super().__init__(text)
        self.rate = rate


@dataclass(frozen=True, slots=True)
class Round:
    """What one round took. `seconds` includes what the last verdicts took after the last answer; `proxy` and `workers`
    are processor seconds on the proxy's core and apart from it; `pause` is the load's (0: full speed). `compared`: how
    many pairs were compared, the others having been seen equal before; None where nothing tells."""

    requests: int
    seconds: float
    proxy: float
    workers: float
    pause: float = 0.0
    compared: int | None = None

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def microseconds(self) -> float:
        """Processor time per request on the proxy's core."""
        return self.proxy / self.requests * 1e6

    @property
    def microseconds_apart(self) -> float:
        """Processor time per request that comparison workers take on another core."""
        return self.workers / self.requests * 1e6

    @property
    def busy(self) -> float:
        """Share of its core that the proxy used."""
        return self.proxy / self.seconds


class Range:
    """Hands out numbers of pages, none of them twice."""

    def __init__(self) -> None:
        self._next = FIRST_PAGE + 1

    def take(self) -> int:
        first, self._next = self._next, self._next + _PAGES
        if self._next >= 10 * FIRST_PAGE:
            raise BenchError("there are no more numbers of pages; ask for fewer rounds")
        return first


@dataclass(slots=True)
class Measured:
    """All rounds of one contender at one size. `overloaded` tells what came of full speed when that was too much."""

    contender: Contender
    kilobytes: int
    rounds: list[Round] = field(default_factory=list)
    overloaded: str | None = None


class Track:
    """Measures one contender at one size. Keeps the pace at which it was seen to verify everything."""

    def __init__(
        self, contender: Contender, kilobytes: int, server: Server, sides: Backend, wrk: Wrk, pages: Range
    ) -> None:
        self.contender = contender
        self.kilobytes = kilobytes
        self.measured = Measured(contender, kilobytes)
        self._name = f"{contender.key} at {kilobytes} KB"
        self._server = server
        self._sides = sides
        self._wrk = wrk
        self._pages = pages
        self._pause = 0.0

    def warm(self, seconds: int) -> None:
        """One answer that must be the primary's to the byte, load that is not measured, and the highest pace at which
        what is to be verified is. Raises BenchError."""
        asked = target(self.kilobytes)
        if fetch(self._server.port, asked) != fetch(self._sides.primary, asked):
            raise BenchError(f"{self._name} answered something else than the primary")
        if self.kilobytes not in self.contender.few:
            self._find_pace(seconds)

    def measure(self, seconds: int) -> None:
        """One round, if need be slower than before. Raises BenchError when the contender did not do its work."""
        for attempt in range(TRIES):
            try:
                self.measured.rounds.append(self._round(seconds, SETTLE_SECONDS))
                return
            except UnverifiedError as error:
                if attempt == TRIES - 1 or self.kilobytes in self.contender.few:
                    raise
                self._find_pace(seconds, self._pause, self._slower(error))

    def _find_pace(self, seconds: int, low: float = 0.0, guess: float = 0.0) -> None:
        """Halve between a pause that is too short and one that will do, until they are 5 % apart."""
        high, last = float("inf"), ""
        for _ in range(3 * TRIES):
            self._pause = guess
            try:
                self._round(seconds, BACKLOG_SECONDS)
            except NoAnswerError as error:
                last = last or str(error)  # a short run on a machine that does something else, too
                continue
            except UnverifiedError as error:
                self.measured.overloaded = self.measured.overloaded or str(error)
                low, guess, last = guess, self._slower(error), str(error)
            else:
                high = guess
            if high <= 1.05 * low + 0.1:
                break
            if high < float("inf"):
                guess = (low + high) / 2
        if high == float("inf"):
            raise BenchError(f"{last}, with {low:.0f} ms between two requests of each connection")
        self._pause = high

    def _slower(self, error: UnverifiedError) -> float:
        """The pause that would be right if each connection did nothing else, longer than the one that failed."""
        right = min(1e3 * CONNECTIONS / error.rate, LONGEST_PAUSE) if error.rate else 1.0
        return max(right, 1.5 * self._pause)

    def _round(self, seconds: int, limit: float) -> Round:
        """`limit`: how long what is left over at the end may take."""
        server, asked = self._server, self._sides.requests()
        if server.place:
            server.place()
        before = server.verified() if server.verified else {}
        (proxy, workers), began = server.spent(), time.monotonic()
        done = self._load(seconds)
        left, used = time.monotonic(), server.spent()
        after = server.verified() if server.verified else {}
        tail = 0.0
        if server.late:  # what is verified after the last answer is part of the work
            tail, used = time.monotonic() - left, server.spent()
        taken = Round(done.requests, done.seconds + tail, used[0] - proxy, used[1] - workers, self._pause)
        self._rest()
        if server.verified:
            grown = {name: count - before.get(name, 0) for name, count in after.items()}
            verified = grown.get(server.wanted, 0)
            if verified < VERIFIED * done.requests or tail > limit:
                told = ", ".join(f"{count} {name}" for name, count in sorted(grown.items()) if count)
                share = f"{verified / done.requests:.1%} were verified ({told}), the last {tail:.1f} s late"
                raise UnverifiedError(
                    f"{self._name}: of {done.requests} requests {share}", verified / (left + tail - began)
                )
            compared = grown.get(COMPARED)
            if self.contender.new and compared is not None and compared < VERIFIED * done.requests:
                raise BenchError(f"{self._name}: of {done.requests} pairs, all new, {compared} were compared")
            taken = replace(taken, compared=compared)
        self._reached(asked, done.requests)
        return taken

    def _rest(self) -> None:
        """Wait until it no longer works on requests that were broken off, for the next one needs the core."""
        deadline = time.monotonic() + SETTLE_SECONDS
        before = sum(self._server.spent())
        while time.monotonic() < deadline:
            time.sleep(REST_SECONDS)
            after = sum(self._server.spent())
            if after - before <= REST_SHARE * REST_SECONDS:
                return
            before = after
        raise BenchError(f"{self._name} still works {SETTLE_SECONDS:g} s after the last request")

    def _load(self, seconds: int) -> Done:
        if self.kilobytes not in self.contender.few:
            first = self._pages.take() if self.contender.new else FIRST_PAGE
            load = Load(self.kilobytes, self.contender.new, first, self._pause)
            try:
                return self._wrk.run(self._server.port, load, seconds)
            except BenchError as error:
                raise type(error)(f"{self._name}: {error}") from error
        began = time.monotonic()
        with ThreadPoolExecutor(FEW) as clients:
            counts = list(clients.map(self._ask, [began + seconds] * FEW))
        return Done(sum(counts), time.monotonic() - began)

    def _ask(self, until: float) -> int:
        """One request after the other, and one at least."""
        count = 0
        while not count or time.monotonic() < until:
            fetch(self._server.port, target(self.kilobytes))
            count += 1
        return count

    def _reached(self, before: dict[str, int], requests: int) -> None:
        """The primary was asked each time, and the twin where there is somebody to ask it."""
        after = self._sides.requests()
        for side in ("primary", "twin") if self._server.asks_twin else ("primary",):
            if (asked := after[side] - before[side]) < VERIFIED * requests:
                raise BenchError(f"{self._name}: of {requests} requests the {side} saw {asked}")
        if not self._server.asks_twin and after["twin"] > before["twin"]:
            raise BenchError(f"{self._name}: the twin was asked {after['twin'] - before['twin']} times")
