"""How much verification there is room for: less of it as soon as the event loop's thread has no time to spare.

Verification and the clients share one thread. When that needs more than its share of a processor core, clients wait,
and verifying is what can be left out: the share of exchanges that is verified is halved for every look at which the
thread was too busy, and grows back by a tenth for every other (additive increase, multiplicative decrease).
"""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_EVERY = 0.5
"""Seconds. Long against a burst that passes by itself, short against a test of load."""
LEAST = 0.01
"""What is verified at the busiest: a domain without a single comparison would look as if it had no traffic."""
STEP = 0.1


class Headroom:
    """`limit` is the share of a core above which the thread is too busy; 1 or more: it never is.

    `spent` is the processor time of the event loop's thread, `clock` what passes meanwhile, both in seconds. Nothing
    runs by itself: whoever asks has it looked, since only traffic needs room.
    """

    def __init__(
        self,
        limit: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._spent = spent
        self._looked = -LOOK_EVERY
        self._spent_then = 0.0
        self.share = 1.0
        """Of the exchanges, how many there is room for: 0.01 to 1."""

    def has(self, draw: float) -> bool:
        """Whether there is room for one more exchange, for which the dice fell on `draw` (0 to below 1)."""
        if self._limit >= 1:
            return True
        now = self._clock()
        passed = now - self._looked
        if passed >= LOOK_EVERY:
            self._look(now, passed)
        return draw < self.share

    def _look(self, now: float, passed: float) -> None:
        spent = self._spent()
        # After a pause there is nothing to learn of the time before it.
        busy = (spent - self._spent_then) / passed if passed < 2 * LOOK_EVERY else 0.0
        self._looked, self._spent_then = now, spent
        self.share = max(LEAST, self.share / 2) if busy >= self._limit else min(1.0, self.share + STEP)
