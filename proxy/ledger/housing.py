"""The journal of a running process, made anew when it is gone, could not grow or is mostly of no use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from proxy.ledger.journal import Journal
from proxy.ledger.tally import detached_cell

log = logging.getLogger(__name__)

MOST_UNUSED = 1_000
"""How many places of the journal may belong to windows that are over before it is made anew."""


class Housing:
    """Gives counters their places. `settle` and `belongs_to` raise OSError when the disk does not play along."""

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        self._run = run
        self._journal: Journal | None = None
        self._complete = False  # whether every counter has its place in the journal
        self._unused = 0
        self._ledger = b""

    def place(self, window: str, domain: str, route: str) -> memoryview:
        """A counter; one in plain memory as long as the journal cannot take it."""
        if self._journal is not None:
            try:
                return self._journal.place(window, domain, route, 0)
            except OSError as error:
                log.error("the journal cannot grow: %s", error)
        self._complete = False
        return detached_cell()

    def free(self, places: int) -> None:
        """So many places more are of no use."""
        self._unused += places
        if self._unused > MOST_UNUSED:
            self._complete = False

    def renew(self) -> None:
        """Have the journal made anew: the names in it are those that another file knew."""
        self._complete = False

    def settle(self, rehouse: Callable[[], None]) -> None:
        """Make a journal where there is none that holds everything; `rehouse` then asks for all places again."""
        if self._journal is not None and self._complete and self._journal.exists():
            return
        fresh = Journal.create(self._path, self._run)  # takes the place of the old one, if that is there
        if self._ledger:
            fresh.belongs_to(self._ledger)
        old, self._journal, self._complete, self._unused = self._journal, fresh, True, 0
        rehouse()
        if old is not None:
            old.close(remove=False)

    def belongs_to(self, ledger: bytes) -> None:
        """Note the id of the database that knows this run."""
        if self._journal is not None:
            self._journal.belongs_to(ledger)
        self._ledger = ledger

    def close(self, *, remove: bool) -> None:
        """The counters handed out must no longer be stored to."""
        if self._journal is not None:
            self._journal.close(remove=remove)
            self._journal = None
