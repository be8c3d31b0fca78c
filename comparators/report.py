"""What one comparison has to say: differences in document order, tolerances used, and remarks."""

from __future__ import annotations

from typing import Any

from comparators.automaton import Place
from comparators.model import Comparison, Difference, Kind, Tolerated
from comparators.normal import TooDeepError
from comparators.paths import Key, render, render_pattern
from comparators.spelling import UUID_LENGTH, restored

_MAX_REMARKS = 10


class UnequalError(Exception):
    """A trial has met its first difference."""


class Report:
    """Gathers at most `max_differences` differences; values and names are put back as they stood in their bodies.

    `left_back` and `right_back` are of the `Spelled` bodies that the values were parsed from.
    """

    __slots__ = ("_differences", "_left_back", "_limit", "_max_depth", "_remarks", "_right_back", "_total", "_used")

    trial = False

    def __init__(
        self, left_back: dict[str, str], right_back: dict[str, str], max_depth: int, max_differences: int
    ) -> None:
        self._left_back = left_back
        self._right_back = right_back
        self._max_depth = max_depth
        self._limit = max_differences
        self._differences: list[Difference] = []
        self._total = 0
        self._used: dict[tuple[str, str, tuple[Key, ...]], int] = {}
        self._remarks: list[str] = []

    def result(self) -> Comparison:
        """`total` counts all differences, also those past the limit."""
        return Comparison(tuple(self._differences), self._tolerated(), self._total, remarks=tuple(self._remarks))

    def _tolerated(self) -> tuple[Tolerated, ...]:
        if not self._used:
            return ()
        merged: dict[tuple[str, str, str], int] = {}
        for (kind, rule, keys), count in self._used.items():
            place = (kind, render_pattern(keys), rule)
            merged[place] = merged.get(place, 0) + count
        return tuple([Tolerated(kind, path, n, rule) for (kind, path, rule), n in sorted(merged.items())])

    def restored(self, path: list[Key], left: Any, right: Any) -> tuple[Any, Any]:
        """Both values as they stood in their bodies. Raises TooDeepError: they have not all been walked."""
        if type(left) is dict or type(left) is list:
            _check_depth(left, self._max_depth - len(path))
        if type(right) is dict or type(right) is list:
            _check_depth(right, self._max_depth - len(path))
        return restored(left, self._left_back), restored(right, self._right_back)

    @property
    def full(self) -> bool:
        """Whether differences are only counted from here on."""
        return len(self._differences) >= self._limit

    def differ(self, path: list[Key], kind: Kind, left: Any, right: Any, *, shadow_alone: bool = False) -> None:
        """Note a difference between two `restored` values; `shadow_alone` says that only the shadow has the member."""
        self._total += 1
        if len(self._differences) >= self._limit:
            return
        if self._left_back or self._right_back:
            for key in path:
                if type(key) is str and len(key) >= UUID_LENGTH:
                    path = self._as_named(path, shadow_alone=shadow_alone)
                    break
        self._differences.append(Difference(render(path), kind, left, right))

    def tolerate(self, path: list[Key], kind: str, place: Place, slot: str) -> None:
        """Count that the rule of `slot` forgave something at `place`."""
        use = (kind, place.texts[slot], tuple([0 if type(key) is int else key for key in path]))
        self._used[use] = self._used.get(use, 0) + 1

    def as_trial(self, max_depth: int) -> Trial:
        """The report of a trial on two of the values."""
        return Trial(self._left_back, self._right_back, max_depth, 0)

    def as_named(self, left: dict[str, Any], right: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Both objects with the names that stood in their bodies, when one has both ids of a row for names: the only
        name of the other was put as the uuid, and would stand for the wrong one. None for all other objects."""
        if not _names_both(left, right, self._left_back) and not _names_both(right, left, self._right_back):
            return None
        return (
            {restored(name, self._left_back): value for name, value in left.items()},
            {restored(name, self._right_back): value for name, value in right.items()},
        )

    def remark(self, path: list[Key], text: str) -> None:
        if len(self._remarks) < _MAX_REMARKS:
            self._remarks.append(f"{render(path)}: {text}")

    def _as_named(self, path: list[Key], *, shadow_alone: bool) -> list[Key]:
        """The path with the names that stood in the primary; the last is the shadow's when it alone has it."""
        named = [restored(key, self._left_back) for key in path]
        if shadow_alone:
            named[-1] = restored(path[-1], self._right_back)
        return named


class Trial(Report):
    """Of a walk that only asks whether two values are equal: the first difference ends it."""

    __slots__ = ()

    trial = True

    def differ(self, path: list[Key], kind: Kind, left: Any, right: Any, *, shadow_alone: bool = False) -> None:  # noqa: ARG002 - the base's signature
        raise UnequalError

    def tolerate(self, path: list[Key], kind: str, place: Place, slot: str) -> None:
        """What a trial forgives is counted when the values are walked for good."""

    def remark(self, path: list[Key], text: str) -> None:
        """The walk for good meets the same bound."""


def _names_both(one: dict[str, Any], other: dict[str, Any], back: dict[str, str]) -> bool:
    """Whether `other` has the uuid as well as the ObjectId that was put as it among the names of `one`."""
    return bool(back) and any(len(name) == UUID_LENGTH and name in other and back.get(name) in other for name in one)


def _check_depth(value: Any, room: int) -> None:
    level = [value]
    while level:
        if room < 0:
            raise TooDeepError
        room -= 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
