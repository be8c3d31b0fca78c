"""The requests of the exchanges that were traced last, as they came, to be read again on demand.

Stored traces bear no credentials, so that a request can seldom be sent again from them. These stay in memory alone:
never written, never logged, and given to nobody after an hour.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from proxy.model import ReadRequest

KEPT = 500
BYTES = 16 * 1024
"""Of one request, header fields and body together."""
SECONDS = 3600.0


class Remembered:
    """The last `KEPT` requests by the id of their trace, each for an hour."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, ReadRequest]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, trace: str, request: ReadRequest) -> None:
        """Keep `request`, unless it is too large."""
        self._forget()
        size = len(request.target) + len(request.body) + sum(len(name) + len(value) for name, value in request.headers)
        if size <= BYTES:
            self._kept[trace] = self._clock() + SECONDS, request
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def get(self, trace: str) -> ReadRequest | None:
        """The request of a trace; None when it is not kept (any more)."""
        self._forget()
        kept = self._kept.get(trace)
        return None if kept is None else kept[1]

    def since(self, trace: str) -> list[tuple[str, ReadRequest]]:
        """What was kept after that of `trace`, oldest first; all that is kept, where that one is not."""
        found = []
        for id_, (_, request) in reversed(self._kept.items()):
            if id_ == trace:
                break
            found.append((id_, request))
        return found[::-1]

    def _forget(self) -> None:
        now = self._clock()
        while self._kept and next(iter(self._kept.values()))[0] <= now:
            self._kept.popitem(last=False)
