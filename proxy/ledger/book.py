"""The windows that this process counts in, one of each domain at a time. Pure: nothing is read or written here.

What is decided here at once is written down later, and other processes may have decided meanwhile: `stored` and `seen`
take in what the file says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from proxy.ledger.details import clean
from proxy.ledger.epoch import Epoch
from proxy.ledger.journal import DOMAIN_BYTES, shorten
from proxy.ledger.windows import Stored, Unsaved, changes, cut_why, why_of
from proxy.window import Window

FIRST_WHY = "the first window of this domain"
REPLACED_WHY = "the ledger was deleted or replaced: nothing of before is left"
PARTS = 16
PART_BYTES = 200
QUARREL = timedelta(minutes=1)
"""How often a process takes a domain back from another one that counts it under other rules."""


class Book:
    """The current window of each domain. `fresh_id` gives ids of windows, unique for all time."""

    def __init__(self, clock: Callable[[], datetime], fresh_id: Callable[[], str]) -> None:
        self._clock = clock
        self._fresh_id = fresh_id
        self._current: dict[str, Epoch] = {}
        self._own: dict[str, dict[str, str]] = {}  # what this process itself said of each domain
        self._seen: dict[str, int] = {}  # the greatest place in the file that is known
        self._taken_back: dict[str, datetime] = {}
        self._unsaved: dict[str, Epoch] = {}

    def enter(self, domain: str, parts: Mapping[str, str], at: datetime) -> Window:
        """See `Ledger.enter`."""
        domain = shorten(domain, DOMAIN_BYTES)
        known = {shorten(clean(name), PART_BYTES): shorten(clean(text), PART_BYTES) for name, text in parts.items()}
        known = dict(sorted(known.items())[:PARTS])
        self._own.setdefault(domain, {}).update(known)
        epoch = self._current.get(domain)
        if epoch is None:
            epoch = self._begin(Window(self._fresh_id(), domain, known, at, FIRST_WHY))
        elif changed := changes(epoch.window.parts, known):
            epoch = self._change(epoch.window, changed, at)
        elif known.keys() - epoch.window.parts.keys():
            self._fill(epoch, known)
        return epoch.window

    def restart(self, domain: str, why: str, at: datetime) -> Window:
        """See `Ledger.restart`."""
        domain = shorten(domain, DOMAIN_BYTES)
        epoch = self._current.get(domain)
        parts = {} if epoch is None else epoch.window.parts
        return self._begin(Window(self._fresh_id(), domain, parts, at, cut_why(why)), alone=True).window

    def epoch(self, domain: str) -> Epoch:
        """What `domain` is counted in now; one that was never entered gets a window that nothing is known of."""
        domain = shorten(domain, DOMAIN_BYTES)
        return self._current.get(domain) or self._begin(Window(self._fresh_id(), domain, {}, self._clock(), FIRST_WHY))

    def window(self, domain: str) -> Window | None:
        epoch = self._current.get(shorten(domain, DOMAIN_BYTES))
        return None if epoch is None else epoch.window

    @property
    def current(self) -> dict[str, Window]:
        return {domain: epoch.window for domain, epoch in self._current.items()}

    def unsaved(self) -> tuple[Unsaved, ...]:
        """What is to be written down, in order."""
        return tuple(
            Unsaved(one.window, self._seen.get(one.window.domain, 0), one.alone) for one in self._unsaved.values()
        )

    def load(self, newest: Mapping[str, Stored], known: set[str]) -> None:
        """Take in a file just opened, with the ids of the windows that it knows."""
        self._seen = {}
        for domain, epoch in self._current.items():
            # One that was in a file before stays what it is; one begun while there was no file may be in this one.
            epoch.alone = epoch.alone or epoch.seq is not None
            if epoch.id not in known:
                if epoch.seq is not None:
                    # What it counted and when it was watched went with the other file.
                    epoch.window = replace(epoch.window, started_at=self._clock(), why=REPLACED_WHY)
                epoch.seq = None
                self._unsaved[epoch.id] = epoch
            else:
                self._seen[domain] = epoch.seq or 0
        self.seen(newest, self._clock())

    def stored(self, found: Mapping[str, Stored]) -> None:
        """Take in what became of the windows of `unsaved`."""
        for own, stored in found.items():
            epoch = self._unsaved.pop(own)
            mine, domain = epoch.window.parts, epoch.window.domain
            self._adopt(epoch, stored)
            if mine.keys() - stored.window.parts.keys():  # it grew meanwhile
                self._fill(epoch, mine)
            # Another process may have been the first to fill in a part, and with something else.
            differ = changes(epoch.window.parts, self._own.get(domain, {}))
            if differ and not epoch.over:
                self._change(epoch.window, differ, self._clock())

    def seen(self, newest: Mapping[str, Stored], at: datetime) -> None:
        """Move on to windows that others have begun, unless they count under something else."""
        for domain, stored in newest.items():
            epoch = self._current.get(domain)
            own = self._own.get(domain, {})
            if epoch is None:
                self._current[domain] = Epoch(stored.window, stored.seq)
                self._seen[domain] = stored.seq
            elif epoch.id in self._unsaved:
                continue
            elif stored.window.id == epoch.id:
                self._adopt(epoch, stored)
            elif stored.seq > self._seen.get(domain, 0):
                if differ := changes(stored.window.parts, own):
                    last = self._taken_back.get(domain)
                    if last is None or at - last >= QUARREL:
                        self._taken_back[domain] = at
                        self._seen[domain] = stored.seq
                        self._change(stored.window, differ, at)
                    continue
                epoch.over = True
                epoch = self._current[domain] = Epoch(stored.window, stored.seq)
                self._seen[domain] = stored.seq
                self._fill(epoch, own)

    def _change(self, old: Window, changed: list[str], at: datetime) -> Epoch:
        own = self._own[old.domain]
        parts = {**old.parts, **own}
        return self._begin(Window(self._fresh_id(), old.domain, parts, at, why_of(changed, old.parts, own)))

    def _begin(self, window: Window, *, alone: bool = False) -> Epoch:
        if (old := self._current.get(window.domain)) is not None:
            old.over = True
        epoch = self._current[window.domain] = Epoch(window, None, alone=alone)
        self._unsaved[window.id] = epoch
        return epoch

    def _fill(self, epoch: Epoch, parts: Mapping[str, str]) -> None:
        old = epoch.window
        if parts.keys() - old.parts.keys():
            epoch.window = Window(old.id, old.domain, {**parts, **old.parts}, old.started_at, old.why)
            self._unsaved[old.id] = epoch

    def _adopt(self, epoch: Epoch, stored: Stored) -> None:
        epoch.window, epoch.seq = stored.window, stored.seq
        domain = stored.window.domain
        self._seen[domain] = max(stored.seq, self._seen.get(domain, 0))
