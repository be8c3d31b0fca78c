"""The pulse: that domains are being watched is written down every few seconds, so that it shows where they were not.

`Beat` is pure: moments and counts in, what to write down out.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from proxy.ledger import Ledger
from proxy.model import SKIPS, Verdict
from proxy.soak import PULSE_SECONDS
from proxy.tasks import TaskGroup
from proxy.window import Watch, Window

log = logging.getLogger(__name__)

LATEST = timedelta(seconds=20)
"""A pulse that comes later than this after the one before says that nothing was watched in between."""
STRETCH = timedelta(minutes=1)
"""Over how long the share of skipped exchanges is looked at."""
FEWEST = 10
"""Exchanges in a stretch below which their share says nothing."""
NOT_COUNTED = frozenset({Verdict.NOT_SAMPLED, Verdict.PAUSED})
"""Skipped on purpose: what was left out by configuration, or for a check of the shadow."""

BEGINNING = "the proxy did not run"
OFF = "the domain was off"
STILL = "the proxy stood still"


class Seen(NamedTuple):
    """Exchanges of a domain that ended, and those of them that were skipped but not on purpose."""

    ended: int = 0
    skipped: int = 0


class Tallies:
    """What ended in each domain since it was last asked for."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def ended(self, domain: str, verdict: Verdict) -> None:
        if verdict in NOT_COUNTED:
            return
        counts = self._counts.setdefault(domain, [0, 0])
        counts[0] += 1
        if verdict in SKIPS:
            counts[1] += 1

    def add(self, domain: str, seen: Seen) -> None:
        """Count what has ended in another process."""
        counts = self._counts.setdefault(domain, [0, 0])
        counts[0] += seen.ended
        counts[1] += seen.skipped

    def take(self, domain: str) -> Seen:
        return Seen(*self._counts.pop(domain, (0, 0)))


class Beat:
    """The watch of one domain, extended by each pulse unless something was amiss. `max_skip_rate` is 0 to 1."""

    def __init__(self, max_skip_rate: float, why: str = BEGINNING) -> None:
        """`why` says what was before the first pulse."""
        self.max_skip_rate = max_skip_rate
        self._window = ""
        self._watch: Watch | None = None
        self._why = self._before = why
        self._last: datetime | None = None
        self._stretch: deque[tuple[datetime, Seen]] = deque()

    def pulse(self, at: datetime, window: Window, seen: Seen) -> Watch | None:
        """The watch to be kept after a pulse at this moment; None while the domain is not to be called watched.

        `seen` is what has ended since the pulse before. A watch that begins anew says why there is a hole before it.
        """
        last, self._last = self._last, at
        if last is not None and at < last:
            # The clock was set back: until it has caught up, time would be counted twice.
            self._last = last
            return None
        if last is not None and at - last > LATEST:
            self._stop(STILL)
            self._stretch.clear()
        if too_many := self._skipped_too_many(at, seen):
            self._stop(too_many)
            return None
        if window.id != self._window:
            # What was watched before belongs to the window before; that is no hole.
            self._window = window.id
            if self._watch is not None:
                self._watch = Watch(min(at, max(window.started_at, self._watch.ended)), at)
                return self._watch
        if self._watch is None:
            self._watch = Watch(at, at, self._why)
        else:
            self._watch = replace(self._watch, ended=at)
        return self._watch

    def _stop(self, why: str) -> None:
        if self._watch is not None or self._why != self._before:
            self._why = why
        self._watch = None

    def _skipped_too_many(self, at: datetime, seen: Seen) -> str:
        """Why the last minute does not count as watched; empty when it does."""
        if seen.ended:
            self._stretch.append((at, seen))
        while self._stretch and at - self._stretch[0][0] >= STRETCH:
            self._stretch.popleft()
        ended = sum(one.ended for _, one in self._stretch)
        skipped = sum(one.skipped for _, one in self._stretch)
        if ended < FEWEST or skipped <= self.max_skip_rate * ended:
            return ""
        return f"skipped {skipped / ended * 100:.3g} % (limit {self.max_skip_rate * 100:g} %)"


class Pulse:
    """Keeps the watches of domains, every five seconds. `on_new_day` is called when the UTC date has changed."""

    def __init__(
        self,
        ledger: Ledger,
        domains: Iterable[tuple[str, float]],
        tallies: Tallies,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        on_new_day: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._beats = {name: Beat(limit) for name, limit in domains}
        self._tallies = tallies
        self._clock = clock
        self._sleep = sleep
        self._on_new_day = on_new_day
        self._day = clock().date()
        self._tasks = TaskGroup(1)

    def start(self) -> None:
        self._tasks.start(self._run(), name="pulse")

    def watch(self, domains: Iterable[tuple[str, float]]) -> None:
        """Watch these domains from now on, each with its limit; those that go on have no hole in their watch."""
        before, self._beats = self._beats, {}
        for name, limit in domains:
            beat = self._beats[name] = before.get(name) or Beat(limit, OFF)
            beat.max_skip_rate = limit

    async def stop(self) -> None:
        """Keep the watches up to this moment, and end."""
        await self._tasks.drain(0)
        self.beat()

    def beat(self) -> None:
        """One pulse of every domain."""
        at = self._clock()
        if at.date() != self._day:
            self._on_new_day()
            self._day = at.date()  # only now: what has failed is tried again with the next pulse
        for domain, beat in self._beats.items():
            window = self._ledger.window(domain)
            if window is not None and (watch := beat.pulse(at, window, self._tallies.take(domain))) is not None:
                self._ledger.keep_watch(domain, watch)

    async def _run(self) -> None:
        while True:
            try:
                self.beat()
            except Exception:
                log.exception("a pulse failed; the time until the next one counts as not watched if that fails too")
            await self._sleep(PULSE_SECONDS)
