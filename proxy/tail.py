"""The exchanges that ended last, for those who watch them live. In memory, bounded; nobody has to listen."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from proxy.model import Ended

KEPT = 1_000


class Heard(NamedTuple):
    """What ended since a place in the tail, oldest first; `missed` more are not kept. `next` is where to go on."""

    ended: Sequence[Ended]
    missed: int
    next: int


class Tail:
    """The last `kept` exchanges. A place counts what was added before it, so 0 is the beginning."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept: deque[Ended] = deque(maxlen=kept)
        self._count = 0

    def add(self, ended: Ended) -> None:
        """On the way of every exchange: this costs a tenth of a microsecond."""
        self._kept.append(ended)
        self._count += 1

    def add_all(self, ended: Sequence[Ended], missed: int) -> None:
        """Add what another tail has heard, behind `missed` more that it did not keep."""
        if missed:
            # What is kept has no gap: places are counted back from its end.
            self._kept.clear()
        self._kept.extend(ended)
        self._count += missed + len(ended)

    @property
    def place(self) -> int:
        """Behind what was added last."""
        return self._count

    def since(self, place: int) -> Heard:
        """What was added behind `place`; a place that never was is taken as the beginning."""
        new = self._count - place if 0 <= place <= self._count else self._count
        kept = min(new, len(self._kept))
        return Heard(tuple(islice(self._kept, len(self._kept) - kept, None)), new - kept, self._count)
