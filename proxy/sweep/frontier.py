"""Counting pieces of work that end in any order, so that what is kept holds for all up to one place. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Piece:
    """What came of one piece: reads that ended, those that found the thing, and all of them by how they ended."""

    done: int = 0
    found: int = 0
    ended: Mapping[str, int] = field(default_factory=dict)


class Frontier:
    """Pieces are begun in order, each with the place behind it. `place` is the one up to which all have ended, and the
    counts are of the pieces before it: who goes on there counts nothing twice and leaves nothing out."""

    def __init__(self, place: str, before: Piece) -> None:
        self.place = place
        self.done = before.done
        self.found = before.found
        self.ended = Counter(before.ended)
        self._begun = 0
        self._next = 0
        self._places: dict[int, str] = {}
        self._ready: dict[int, Piece] = {}

    @property
    def under_way(self) -> int:
        return len(self._places)

    def begin(self, place: str) -> int:
        """The number of the next piece; `place` is behind it."""
        number = self._begun
        self._begun += 1
        self._places[number] = place
        return number

    def end(self, number: int, piece: Piece) -> None:
        self._ready[number] = piece
        while (ready := self._ready.pop(self._next, None)) is not None:
            self.place = self._places.pop(self._next)
            self.done += ready.done
            self.found += ready.found
            self.ended.update(ready.ended)
            self._next += 1
