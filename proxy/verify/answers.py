"""Both first answers of an exchange, gathered without a task: the client's own, and the shadow's to the same."""

from __future__ import annotations

from collections.abc import Callable

from proxy.model import Observation, ReadRequest
from proxy.verify.case import Case
from proxy.verify.judge import primary_verdict


class Answers:
    """What has come so far. `ended` is called once, when both are there or the shadow's is not needed any more.

    `shadow` stays None where it was not needed, and where a task has to read it (`again`).
    """

    __slots__ = ("_ended", "again", "break_off", "case", "primary", "request", "shadow", "tried", "usable")

    def __init__(self, case: Case, request: ReadRequest, ended: Callable[[Answers], None]) -> None:
        self.case = case
        self.request = request
        self.primary: Observation | None = None
        self.shadow: Observation | None = None
        self.again = False
        self.usable = False
        """Whether the shadow can be held to the primary's answer."""
        self.tried = False
        """Whether they have been held against each other already, and nothing could be told at once."""
        self.break_off: Callable[[], None] | None = None
        """Ends the shadow's read, as long as it is under way."""
        self._ended: Callable[[Answers], None] | None = ended

    def primary_came(self, seen: Observation) -> None:
        self.primary = seen
        self.usable = primary_verdict(seen) is None
        if self.shadow is not None or self.again:
            self._end()
        elif not self.usable:
            # Nothing to hold the shadow to: a client has gone, or both sides stream for ever.
            self.leave()
            self._end()

    def shadow_came(self, seen: Observation | None) -> None:
        self.break_off = None
        self.shadow = None if seen is None else self.case.exchange.keep(seen)
        self.again = seen is None
        if self.primary is not None:
            self._end()

    def leave(self) -> None:
        """Break the shadow's read off."""
        break_off, self.break_off = self.break_off, None
        if break_off is not None:
            break_off()

    def give_up(self) -> None:
        """Nobody waits for it any more: `ended` is not called."""
        self._ended = None
        self.leave()

    def _end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self)
