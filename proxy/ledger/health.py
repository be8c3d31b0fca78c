"""Whether the ledger is being written, told once per change."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

log = logging.getLogger(__name__)


class Health:
    """`reason` is why nothing is written, None while it is; `since` is when that began."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.reason: str | None = None
        self.since = clock()

    def failed(self, reason: str) -> None:
        if self.reason is None:
            self.since = self._clock()
        if self.reason != reason:
            log.error("the ledger is not being written: %s; serving goes on, counts wait in memory", reason)
        self.reason = reason

    def succeeded(self) -> None:
        if self.reason is not None:
            log.warning("the ledger is being written again; everything that waited is in it")
            self.reason, self.since = None, self._clock()
