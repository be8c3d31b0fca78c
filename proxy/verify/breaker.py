"""A circuit breaker: after many failures in a row the shadow is left alone for a while, then tried with one read."""

from __future__ import annotations


class Breaker:
    """Closed; open for `open_for` seconds after `failures` failures in a row; then one trial each `open_for` seconds.

    Times are monotonic seconds, handed in.
    """

    def __init__(self, failures: int, open_for: float) -> None:
        self._limit = failures
        self._open_for = open_for
        self._failed = 0
        self._until = 0.0

    def is_open(self, now: float) -> bool:
        """Whether a read must not be made. Asking changes nothing: not everyone who asks goes on to read."""
        return self._failed >= self._limit and now < self._until

    def reading(self, now: float) -> None:
        """A read is about to be made. After failures it is the trial, and the next one is due only later."""
        if self._failed >= self._limit:
            self._until = now + self._open_for

    def succeeded(self) -> None:
        self._failed = 0

    def failed(self, now: float) -> None:
        self._failed += 1
        if self._failed >= self._limit:
            self._until = now + self._open_for
