"""A comparison watched while it is made: which elements and members it paired, and what it found at which place."""

from __future__ import annotations

from typing import Any

from comparators.arrays import Pairing
from comparators.automaton import Place
from comparators.elements import Arrangement
from comparators.members import has_id, joins
from comparators.model import Kind
from comparators.paths import Key
from comparators.report import Report
from comparators.same import same
from comparators.scalars import Context_
from comparators.walk import Walk

MAX_NOTED = 20_000
"""Places with a difference, and places with something forgiven, that are each noted at most."""

Step = Key | tuple[Key]
"""One step down: a name or an index of the primary; in a tuple, one of the shadow's that the primary does not have."""


class Seen:
    """What was found at one place of both bodies, and below it.

    `kinds` are the differences right here, `forgiven` the tolerances (and their rules) used right here; `differ` and
    `forgave` count both for all that is below too. `pairing` and `joins` say how elements and members were paired where
    that is not by the same index and the same name.
    """

    __slots__ = ("below", "differ", "forgave", "forgiven", "joins", "kinds", "pairing")

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self.forgiven: list[tuple[str, str]] = []
        self.differ = 0
        self.forgave = 0
        self.below: dict[Step, Seen] = {}
        self.pairing: Pairing | None = None
        self.joins: dict[str, str] = {}

    @property
    def ignored(self) -> bool:
        """Whether a rule says that nobody has to look here."""
        return any(kind == "ignore" for kind, _ in self.forgiven)


class Picture(Report):
    """Notes places instead of values. `differ_full` and `forgave_full` say that there was more than is noted."""

    __slots__ = ("alone", "differ_full", "differing", "forgave_full", "forgiving", "named", "root")

    def __init__(self, left_back: dict[str, str], right_back: dict[str, str], max_depth: int) -> None:
        # No difference is kept with its values, so none has to be copied.
        super().__init__(left_back, right_back, max_depth, 0)
        self.root = Seen()
        self.differing = 0
        self.forgiving = 0
        self.differ_full = False
        self.forgave_full = False
        self.alone = False
        """Whether what is being noted is something that the shadow alone has."""
        self.named: dict[tuple[int, int], tuple[dict[str, Any], dict[str, Any]]] = {}
        """Objects that were compared with other names than they were parsed with, by identity."""

    def differ(self, path: list[Key], kind: Kind, left: Any, right: Any, *, shadow_alone: bool = False) -> None:  # noqa: ARG002 - the base's signature
        if self.differing >= MAX_NOTED:
            self.differ_full = True
            return
        self.differing += 1
        for seen in self._chain(path, alone=shadow_alone):
            seen.differ += 1
        seen.kinds.append(kind)

    def tolerate(self, path: list[Key], kind: str, place: Place, slot: str) -> None:
        if self.forgiving >= MAX_NOTED:
            self.forgave_full = True
            return
        self.forgiving += 1
        for seen in self._chain(path, alone=self.alone):
            seen.forgave += 1
        seen.forgiven.append((kind, place.texts[slot]))

    @property
    def remarks(self) -> tuple[str, ...]:
        """Where a bound kept the comparison from finding out what stands for what."""
        return tuple(self._remarks)

    def as_named(self, left: dict[str, Any], right: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        found = super().as_named(left, right)
        if found is not None:
            self.named[id(left), id(right)] = found
        return found

    def at(self, path: list[Key]) -> Seen:
        """The place, made if it is new."""
        return self._chain(path, alone=False)[-1]

    def _chain(self, path: list[Key], *, alone: bool) -> list[Seen]:
        """The places from the root to `path`."""
        chain = [self.root]
        last = len(path) - 1
        for number, key in enumerate(path):
            step: Step = (key,) if alone and number == last else key
            below = chain[-1].below
            seen = below.get(step)
            if seen is None:
                seen = below[step] = Seen()
            chain.append(seen)
        return chain


class WatchedWalk(Walk):
    """The walk of `compare_bodies`, telling its picture what it pairs."""

    __slots__ = ("_picture",)

    def __init__(self, context: Context_, picture: Picture, max_depth: int) -> None:
        super().__init__(context, picture, max_depth)
        self._picture = picture

    def _compare(self, left: Any, right: Any, place: Place) -> None:
        # What is ignored is counted by a comparison even where it is equal; here that would only hide what is not.
        if not (place.ignored and same(left, right)):
            super()._compare(left, right, place)

    def _members(self, left: dict[str, Any], right: dict[str, Any], only_left: list[str], place: Place) -> None:
        only_right = [key for key in right if key not in left]
        waits = self._waiting is not None and has_id(only_left) and has_id(only_right)
        if only_left and only_right and not waits:

            def restored(a: Any, b: Any) -> tuple[Any, Any]:
                return self._report.restored(self._path, a, b)

            found = joins(left, right, only_left, only_right, place, self._context, restored)
            if found:
                self._picture.at(self._path).joins.update({join.left: join.right for join in found})
        super()._members(left, right, only_left, place)

    def _arranged(self, left: list[Any], right: list[Any], place: Place, arrangement: Arrangement) -> None:
        pairing = arrangement.pairing
        # Of arrays that stand opposite each other the unequal elements alone are told.
        if len(left) != len(right) or len(pairing.pairs) == len(left) or pairing.missing or pairing.added:
            self._picture.at(self._path).pairing = pairing
        super()._arranged(left, right, place, arrangement)

    def _lone(self, key: Key, found: Any, left: Any, right: Any, place: Place, *, shadow_alone: bool = False) -> None:
        self._picture.alone = shadow_alone
        super()._lone(key, found, left, right, place, shadow_alone=shadow_alone)
        self._picture.alone = False
