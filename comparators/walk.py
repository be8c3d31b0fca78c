"""The walk over two values: equal subtrees are passed by, and what differs is named with path and kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from comparators.automaton import Place
from comparators.elements import Elements
from comparators.ids import TOKEN
from comparators.members import has_id, joins
from comparators.model import Comparison, Difference, Kind, Tolerated
from comparators.normal import Forms, TooDeepError
from comparators.paths import Key, pattern_of, render
from comparators.same import Same
from comparators.scalars import Cause, Context_, causes

MAX_DEPTH = 200
MAX_DIFFERENCES = 100
MAX_EFFORT = 400_000
"""How much one comparison spends on trying elements that no form joins against each other, in values looked at."""
_MAX_NAMED = 100

_NULL_MISSING = Cause(Kind.NULL_MISSING)
_EMPTY = (Cause(Kind.EMPTY),)
_TYPE = (Cause(Kind.TYPE_CHANGED),)


class _UnequalError(Exception):
    """A trial has met its first difference."""


class _Effort:
    """What one comparison may still spend on trials."""

    def __init__(self) -> None:
        self._left = MAX_EFFORT

    def spend(self, amount: int = 10) -> bool:
        self._left -= amount
        return self._left >= 0


class Walk:
    """One comparison of two values. Make it, call `run` once, read `result`."""

    def __init__(
        self, context: Context_, same: Same, *, max_depth: int = MAX_DEPTH, max_differences: int = MAX_DIFFERENCES
    ) -> None:
        self._context = context
        self._same = same
        self._forms = Forms(context)
        self._effort = _Effort()
        self._elements = Elements(context, same, self._forms, self._equal, self._effort.spend)
        self._trial = False
        self._max_depth = max_depth
        self._max_differences = max_differences
        self._path: list[Key] = []
        self._differences: list[Difference] = []
        self._total = 0
        self._used: Counter[tuple[str, tuple[Key, ...]]] = Counter()
        # Under `inferred` ids in names and in arrays without order are joined only by pairs that other values have
        # shown, so these wait until all else was seen.
        self._waiting: list[tuple[list[Key], Any, Any, Place]] | None = None if context.pairings is None else []

    def result(self) -> Comparison:
        """Differences in document order (at most `max_differences`, `total` has them all) and tolerances used."""
        merged: Counter[tuple[str, str]] = Counter()
        for (kind, keys), count in self._used.items():
            merged[kind, pattern_of(render(keys))] += count
        tolerated = tuple(Tolerated(kind, path, count) for (kind, path), count in sorted(merged.items()))
        return Comparison(tuple(self._differences), tolerated, self._total)

    def run(self, left: Any, right: Any, place: Place) -> None:
        """Compare two whole values. Raises TooDeepError, and InexactError when numbers need an exact parse."""
        self.compare(left, right, place)
        waiting, self._waiting = self._waiting or [], None
        for path, a, b, below in waiting:
            self._path = path
            if type(a) is dict:
                self._objects(a, b, below)
            else:
                self._arrays(a, b, below)
        self._path = []

    def compare(self, left: Any, right: Any, place: Place) -> None:
        """Compare the values at the current path. Raises TooDeepError and InexactError."""
        if place.rules and "ignore" in place.rules:
            self._tolerate("ignore")
            return
        if self._trial and not self._effort.spend(1):
            raise _UnequalError
        room = self._max_depth - len(self._path)
        kind, other = type(left), type(right)
        if (not place.ignores_below or (kind is not dict and kind is not list)) and self._same(left, right, room):
            return
        if kind is dict and other is dict:
            if room <= 0:
                raise TooDeepError
            self._objects(left, right, place)
        elif kind is list and other is list:
            if room <= 0:
                raise TooDeepError
            self._arrays(left, right, place)
        elif kind is not other and _is_empty(left) and _is_empty(right):
            self._report(_EMPTY, left, right, place)
        elif kind is dict or kind is list or other is dict or other is list:
            self._report(self._populated(left, right, place) or _TYPE, left, right, place)
        elif found := causes(left, right, place.rules, self._context):
            self._report(found, left, right, place)

    # --- objects ---

    def _objects(self, left: dict[str, Any], right: dict[str, Any], place: Place) -> None:
        path = self._path
        only_left: list[str] = []
        for key, value in left.items():
            if key in right:
                below, other = place.name(key), right[key]
                if type(value) is str and value == other and "ignore" not in below.rules:
                    continue
                path.append(key)
                self.compare(value, other, below)
                path.pop()
            else:
                only_left.append(key)
        if not only_left and len(left) == len(right):
            return
        only_right = [key for key in right if key not in left]
        if self._waiting is not None and has_id(only_left) and has_id(only_right):
            self._waiting.append(
                (list(path), {key: left[key] for key in only_left}, {key: right[key] for key in only_right}, place)
            )
            return
        found = joins(left, right, only_left, only_right, place, self._context) if only_left and only_right else []
        for join in found:
            path.append(join.left)
            if join.why == "own_id":
                self._differ(Kind.ALIAS, left[join.left], right[join.right])
            else:
                if join.why == "alias":
                    self._tolerate("alias")
                self.compare(left[join.left], right[join.right], place.name(join.left))
            path.pop()
        joined_left, joined_right = {join.left for join in found}, {join.right for join in found}
        for key in only_left:
            if key not in joined_left:
                self._lone(key, left[key], place.name(key), Kind.MISSING)
        for key in only_right:
            if key not in joined_right:
                self._lone(key, right[key], place.name(key), Kind.ADDED)

    # --- arrays ---

    def _arrays(self, left: list[Any], right: list[Any], place: Place) -> None:
        path = self._path
        if self._waiting is not None and place.rules and "order" in place.rules:
            self._waiting.append((list(path), left, right, place))
            return
        if self._trial and not self._effort.spend(len(left) + len(right)):
            raise _UnequalError
        arrangement = self._elements.arrange(left, right, place, self._max_depth - len(path) - 1)
        pairing = arrangement.pairing
        if self._trial and pairing.forced:
            raise _UnequalError
        if arrangement.reordered:
            self._differ(Kind.ORDER_CHANGED, _names(left), _names(right))
        elif arrangement.forgiven is not None:
            self._tolerate(arrangement.forgiven)
        for a, b in pairing.pairs:
            path.append(a)
            self.compare(left[a], right[b], place.index(a))
            path.pop()
        for index in pairing.missing:
            self._lone(index, left[index], place.index(index), Kind.MISSING)
        for index in pairing.added:
            self._lone(index, right[index], place.index(index), Kind.ADDED)

    def _equal(self, left: Any, right: Any, place: Place, room: int) -> bool:
        """Whether the walk would find nothing. A trial believes no new pairs and stops at the first difference."""
        trial = Walk(replace(self._context, pairings=None), self._same, max_depth=room)
        trial._trial, trial._effort = True, self._effort
        if self._context.pairings is None:
            trial._forms = self._forms
        trial._elements = Elements(
            trial._context, self._same, trial._forms, trial._equal, self._effort.spend, within_trial=True
        )
        try:
            trial.run(left, right, place)
        except _UnequalError:
            return False
        return True

    # --- outcomes ---

    def _populated(self, left: Any, right: Any, place: Place) -> tuple[Cause, ...]:
        """An id on one side, the object that bears it on the other."""
        lone, whole = (left, right) if isinstance(right, dict) else (right, left)
        if not isinstance(lone, str) or not isinstance(whole, dict):
            return ()
        own = whole.get("_id", whole.get("id"))
        if not isinstance(own, str) or not TOKEN.fullmatch(lone) or not TOKEN.fullmatch(own):
            return ()
        a, b = (lone, own) if lone is left else (own, lone)
        return (Cause(Kind.POPULATED), *causes(a, b, place.rules, self._context))

    def _lone(self, key: Key, value: Any, place: Place, kind: Kind) -> None:
        """Something that one side alone has."""
        self._path.append(key)
        if "ignore" in place.rules:
            self._tolerate("ignore")
        else:
            null = value is None and isinstance(key, str)
            left, right = (value, None) if kind is Kind.MISSING else (None, value)
            self._report((_NULL_MISSING if null else Cause(kind),), left, right, place)
        self._path.pop()

    def _report(self, found: tuple[Cause, ...], left: Any, right: Any, place: Place) -> None:
        """Name every cause that no rule forgives: a tolerance of one of two causes does not hide the other."""
        for cause in found:
            if cause.tolerance in place.rules:
                self._tolerate(cause.tolerance)
            else:
                self._differ(cause.kind, left, right)

    def _differ(self, kind: Kind, left: Any, right: Any) -> None:
        if self._trial:
            raise _UnequalError
        self._total += 1
        if len(self._differences) < self._max_differences:
            # What is shown has not all been walked, and must not be deeper than what is.
            for value in (left, right):
                if _is_container(value) and _deeper_than(value, self._max_depth - len(self._path)):
                    raise TooDeepError
            self._differences.append(Difference(render(self._path), kind, left, right))

    def _tolerate(self, kind: str) -> None:
        if not self._trial:
            self._used[kind, tuple(0 if isinstance(key, int) else key for key in self._path)] += 1


def _is_empty(value: Any) -> bool:
    return value is None or (type(value) in (str, list, dict) and not value)


def _is_container(value: Any) -> bool:
    return type(value) is dict or type(value) is list


def _deeper_than(value: Any, room: int) -> bool:
    level = [value]
    while level and room >= 0:
        room -= 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if _is_container(inner)
        ]
    return bool(level)


def _names(elements: list[Any]) -> list[Any]:
    """What tells the elements of an array apart, for the one who reads the difference."""
    return [
        element.get("_id", element.get("id", element)) if isinstance(element, dict) else element
        for element in elements[:_MAX_NAMED]
    ]
