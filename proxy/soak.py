"""How long a domain has been watched, and where the holes in it are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from proxy.window import Watch

PULSE_SECONDS = 5.0
"""How often a running proxy extends the watch of its domains."""
MISSED_PULSES = 4
"""After how many missing pulses the time since the last one is a hole."""
NOT_RUNNING = "the proxy does not run, or skips more than its limit"


@dataclass(frozen=True, slots=True)
class Hole:
    """Time in which nobody watched; `why` is what began the next watch, or that there is none."""

    began: datetime
    ended: datetime
    why: str

    @property
    def seconds(self) -> float:
        return (self.ended - self.began).total_seconds()


@dataclass(frozen=True, slots=True)
class Soak:
    """`seconds` of watched time since `since`, the end of the last hole that was too long; None when that one lasts.

    `holes` are all that the watches tell of, the oldest first; the shorter ones after `since` are not in `seconds`.
    """

    seconds: float
    since: datetime | None
    holes: tuple[Hole, ...]


def soak(watches: Sequence[Watch], at: datetime, max_hole_seconds: float, pulse_seconds: float = PULSE_SECONDS) -> Soak:
    """Add up what was watched until `at`. Watches of two processes may overlap: time counts once.

    A watch from the future (a clock that was set back) counts up to `at` only.
    """
    seconds = 0.0
    since: datetime | None = None
    until: datetime | None = None
    holes: list[Hole] = []
    for watch in sorted(watches, key=lambda one: one.began):
        began, ended = min(watch.began, at), min(watch.ended, at)
        if until is not None and began > until:
            holes.append(Hole(until, began, watch.why or "nobody watched"))
            if holes[-1].seconds > max_hole_seconds:
                seconds, since = 0.0, None
        if since is None:
            since = began
        fresh = began if until is None else max(began, until)
        seconds += max(0.0, (ended - fresh).total_seconds())
        until = ended if until is None else max(until, ended)
    if until is not None and at - until > timedelta(seconds=MISSED_PULSES * pulse_seconds):
        holes.append(Hole(until, at, NOT_RUNNING))
        if holes[-1].seconds > max_hole_seconds:
            seconds, since = 0.0, None
    return Soak(seconds, since, tuple(holes))
