"""The walk over two values: equal subtrees are passed by, and what differs is named with path and kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from comparators import arrays
from comparators.automaton import Place
from comparators.ids import TOKEN, translate
from comparators.model import Comparison, Difference, Kind, Tolerated
from comparators.normal import form, identity
from comparators.orders import Any_, Keyed, Sorted
from comparators.paths import Key, pattern_of, render
from comparators.scalars import Cause, Context_, causes, instant

MAX_DEPTH = 200
MAX_DIFFERENCES = 100

_OBJECT, _ARRAY, _SCALAR = range(3)
_OWN_IDS = frozenset({"_id", "id"})


class TooDeepError(Exception):
    """The values are nested deeper than the walk goes."""


class Walk:
    """One comparison of two values. Make it, call `run` once, read `result`."""

    def __init__(
        self, context: Context_, *, max_depth: int = MAX_DEPTH, max_differences: int = MAX_DIFFERENCES
    ) -> None:
        self._context = context
        self._max_depth = max_depth
        self._max_differences = max_differences
        self._path: list[Key] = []
        self._differences: list[Difference] = []
        self._total = 0
        self._used: Counter[tuple[str, tuple[Key, ...]]] = Counter()
        self._later: list[tuple[list[Key], dict[str, Any], dict[str, Any], Place]] | None = []

    def result(self) -> Comparison:
        """Differences in document order (at most `max_differences`, `total` has them all) and tolerances used."""
        merged: Counter[tuple[str, str]] = Counter()
        for (kind, keys), count in self._used.items():
            merged[kind, pattern_of(render(keys))] += count
        tolerated = tuple(Tolerated(kind, path, count) for (kind, path), count in sorted(merged.items()))
        return Comparison(tuple(self._differences), tolerated, self._total)

    def run(self, left: Any, right: Any, place: Place) -> None:
        """Compare two whole values. Raises TooDeepError."""
        self.compare(left, right, place)
        later, self._later = self._later or [], None
        for path, a, b, below in later:
            self._path = path
            self._objects(a, b, below)
        self._path = []

    def compare(self, left: Any, right: Any, place: Place) -> None:
        """Compare the values at the current path. Raises TooDeepError."""
        if place.rules and "ignore" in place.rules:
            self._tolerate("ignore")
            return
        sort_left, sort_right = _sort(left), _sort(right)
        if sort_left == _OBJECT and sort_right == _OBJECT:
            if len(self._path) >= self._max_depth:
                raise TooDeepError
            self._objects(left, right, place)
        elif sort_left == _ARRAY and sort_right == _ARRAY:
            if len(self._path) >= self._max_depth:
                raise TooDeepError
            self._arrays(left, right, place)
        elif sort_left == _SCALAR and sort_right == _SCALAR:
            if left is right or (type(left) is str and left == right and type(right) is str):
                return
            if _is_empty(left) and _is_empty(right) and type(left) is not type(right):
                self._report((Cause(Kind.EMPTY),), left, right, place)
            else:
                self._report(causes(left, right, place.rules, self._context), left, right, place)
        elif _is_empty(left) and _is_empty(right):
            self._report((Cause(Kind.EMPTY),), left, right, place)
        else:
            self._report(self._populated(left, right, place) or (Cause(Kind.TYPE_CHANGED),), left, right, place)

    # --- objects ---

    def _objects(self, left: dict[str, Any], right: dict[str, Any], place: Place) -> None:
        path = self._path
        only_left: list[str] = []
        for key, value in left.items():
            if key in right:
                path.append(key)
                self.compare(value, right[key], place.name(key))
                path.pop()
            else:
                only_left.append(key)
        if not only_left and len(left) == len(right):
            return
        only_right = [key for key in right if key not in left]
        if (
            self._context.pairings is not None
            and self._later is not None
            and _any_id(only_left)
            and _any_id(only_right)
        ):
            # Keys can only be joined by pairs that values have shown, so these objects wait until all values were seen.
            self._later.append((list(path), {k: left[k] for k in only_left}, {k: right[k] for k in only_right}, place))
            return
        for a, b, kind in self._same_members(left, right, only_left, only_right, place):
            path.append(a)
            if kind is not None:
                self._report((Cause(kind),), left[a], right[b], place, of_parent=True)
            if kind is None or kind.value in _slots(place):
                self.compare(left[a], right[b], place.name(a))
            path.pop()
        for key in only_left:
            self._absent(key, left[key], place.name(key), Kind.MISSING)
        for key in only_right:
            self._absent(key, right[key], place.name(key), Kind.ADDED)

    def _same_members(
        self,
        left: dict[str, Any],
        right: dict[str, Any],
        only_left: list[str],
        only_right: list[str],
        place: Place,
    ) -> list[tuple[str, str, Kind | None]]:
        """Members that stand for each other under other names; they leave `only_left` and `only_right`."""
        found: list[tuple[str, str, Kind | None]] = []
        if only_left and only_right and self._context.ids != "exact":
            table = self._context.table
            believed = self._context.pairings
            waiting = {translate(key, table): key for key in only_right if TOKEN.search(key)}
            for key in [key for key in only_left if waiting and TOKEN.search(key)]:
                name = translate(key, table)
                if believed is not None and name not in waiting:
                    name = believed.partner(place.name(key).rules.get("entity", ""), key.lower()) or name
                partner = waiting.pop(name, None)
                if partner is not None:
                    found.append((key, partner, None))
                    only_left.remove(key)
                    only_right.remove(partner)
        for alias in place.aliases:
            a = [key for key in only_left if key in alias.names]
            b = [key for key in only_right if key in alias.names]
            if len(a) == 1 and len(b) == 1:
                found.append((a[0], b[0], Kind.ALIAS))
                only_left.remove(a[0])
                only_right.remove(b[0])
        own_left = [key for key in only_left if key in _OWN_IDS]
        own_right = [key for key in only_right if key in _OWN_IDS]
        if len(own_left) == 1 and len(own_right) == 1:
            # An object's own id under its other customary name: one cause, not one member lost and another won.
            a_name, b_name = own_left[0], own_right[0]
            if not _is_container(left[a_name]) and not _is_container(right[b_name]) and not causes(
                left[a_name], right[b_name], place.name(a_name).rules, self._context
            ):  # fmt: skip
                found.append((a_name, b_name, Kind.ALIAS))
                only_left.remove(a_name)
                only_right.remove(b_name)
        return found

    def _absent(self, key: str, value: Any, place: Place, kind: Kind) -> None:
        self._path.append(key)
        if "ignore" in place.rules:
            self._tolerate("ignore")
        else:
            cause = Cause(Kind.NULL_MISSING if value is None else kind)
            sides: tuple[Any, Any] = (value, None) if kind is Kind.MISSING else (None, value)
            self._report((cause,), sides[0], sides[1], place)
        self._path.pop()

    # --- arrays ---

    def _arrays(self, left: list[Any], right: list[Any], place: Place) -> None:
        order = place.rules.get("order") if place.rules else None
        if order is None:
            self._in_order(left, right, place)
        elif isinstance(order, Any_):
            self._pairs(left, right, place, self._as_multiset(left, right, place), tolerated="order_any")
        elif isinstance(order, Keyed):
            keys = [self._keys(side, order.name, place) for side in (left, right)]
            self._pairs(left, right, place, arrays.multiset(*keys), tolerated="order_key")
        else:
            self._sorted(left, right, place, order)

    def _in_order(self, left: list[Any], right: list[Any], place: Place) -> None:
        if len(left) == len(right) and self._alike(left, right, place):
            for index, (a, b) in enumerate(zip(left, right, strict=True)):
                self._element(a, b, index, place)
            return
        ids = [[identity(element, self._context) for element in side] for side in (left, right)]
        if all(key is not None for side in ids for key in side) and all(len(set(side)) == len(side) for side in ids):
            keys: list[list[Hashable]] = [list(side) for side in ids]
        else:
            keys = [[form(e, place.index(i), self._context) for i, e in enumerate(side)] for side in (left, right)]
        pairing = arrays.multiset(*keys)
        if pairing.moved:
            # The same elements in another order are one difference, however many have moved.
            kept = Cause(Kind.ORDER_CHANGED)
            if not (pairing.missing and pairing.added):
                self._report((kept,), self._names(left, keys[0]), self._names(right, keys[1]), place)
                self._pairs(left, right, place, pairing)
                return
        self._pairs(left, right, place, arrays.aligned(*keys))

    def _alike(self, left: list[Any], right: list[Any], place: Place) -> bool:
        """Whether elements pair by position: none is an object with an id that the other side has elsewhere."""
        for index, (a, b) in enumerate(zip(left, right, strict=True)):
            if _is_container(a) and _is_container(b):
                mine, other = identity(a, self._context), identity(b, self._context)
                if mine != other:
                    return False
                if mine is None and form(a, place.index(index), self._context) != form(
                    b, place.index(index), self._context
                ):
                    return len(left) == 1
            elif _is_container(a) or _is_container(b):
                continue
            elif causes(a, b, place.index(index).rules, self._trial()):
                return len(left) == 1
        return True

    def _as_multiset(self, left: list[Any], right: list[Any], place: Place) -> arrays.Pairing:
        forms = [[form(e, place.index(i), self._context) for i, e in enumerate(side)] for side in (left, right)]
        pairing = arrays.multiset(*forms)
        if self._context.fuzzy:
            # Forms join all numbers that an epsilon might; only pairs that hold are kept.
            held = tuple((a, b) for a, b in pairing.pairs if self._equal(left[a], right[b], place.index(a)))
            loose = set(pairing.pairs) - set(held)
            pairing = arrays.Pairing(
                held,
                tuple(sorted([*pairing.missing, *(a for a, _ in loose)])),
                tuple(sorted([*pairing.added, *(b for _, b in loose)])),
            )
        pairing, _ = arrays.join_rest(pairing, lambda a, b: self._equal(left[a], right[b], place.index(a)))
        return pairing

    def _sorted(self, left: list[Any], right: list[Any], place: Place, rule: Sorted) -> None:
        keys = []
        for side, elements in (("primary", left), ("shadow", right)):
            values = [tuple(_comparable(arrays.sort_value(e, key)) for key in rule.keys) for e in elements]
            keys.append(values)
            wrong = arrays.unsorted_at(values, rule)
            if wrong is not None:
                text = f"the {side} side is not sorted as the rule says at index {wrong}"
                seen = self._names(elements, [v[0] for v in values])
                both: tuple[Any, Any] = (seen, text) if side == "primary" else (text, seen)
                self._report((Cause(Kind.ORDER_CHANGED),), both[0], both[1], place)
        if keys[0] == keys[1]:
            self._pairs(
                left,
                right,
                place,
                self._within_ties(left, right, keys[0], place),
                tolerated="order_sorted_by",
            )
        else:
            self._in_order(left, right, place)

    def _within_ties(
        self, left: list[Any], right: list[Any], keys: list[tuple[Hashable, ...]], place: Place
    ) -> arrays.Pairing:
        pairs: list[tuple[int, int]] = []
        start = 0
        while start < len(keys):
            end = start + 1
            while end < len(keys) and keys[end] == keys[start]:
                end += 1
            if end - start == 1:
                pairs.append((start, start))
            else:
                tied = self._as_multiset(left[start:end], right[start:end], place)
                pairs.extend((start + a, start + b) for a, b in tied.pairs)
            start = end
        return arrays.Pairing(tuple(sorted(pairs)))

    def _pairs(
        self,
        left: list[Any],
        right: list[Any],
        place: Place,
        pairing: arrays.Pairing,
        *,
        tolerated: str | None = None,
    ) -> None:
        if tolerated is not None and (pairing.moved or (pairing.shifted and not pairing.missing and not pairing.added)):
            self._tolerate(tolerated)
        for a, b in pairing.pairs:
            self._element(left[a], right[b], a, place)
        for index in pairing.missing:
            self._lone(left[index], index, place, Kind.MISSING)
        for index in pairing.added:
            self._lone(right[index], index, place, Kind.ADDED)

    def _element(self, left: Any, right: Any, index: int, place: Place) -> None:
        self._path.append(index)
        self.compare(left, right, place.index(index))
        self._path.pop()

    def _lone(self, value: Any, index: int, place: Place, kind: Kind) -> None:
        self._path.append(index)
        below = place.index(index)
        if "ignore" in below.rules:
            self._tolerate("ignore")
        else:
            sides: tuple[Any, Any] = (value, None) if kind is Kind.MISSING else (None, value)
            self._report((Cause(kind),), sides[0], sides[1], below)
        self._path.pop()

    def _keys(self, elements: list[Any], name: str, place: Place) -> list[Hashable]:
        below = [place.index(index) for index in range(len(elements))]
        return [
            form(element[name], at.name(name), self._context) if isinstance(element, dict) and name in element else None
            for element, at in zip(elements, below, strict=True)
        ]

    def _names(self, elements: list[Any], keys: list[Any]) -> list[Any]:
        """What tells the elements of an array apart, for the one who reads the difference."""
        shown = []
        for element, key in list(zip(elements, keys, strict=True))[:100]:
            if isinstance(element, dict):
                shown.append(element.get("_id", element.get("id", str(key)[:80])))
            else:
                shown.append(element)
        return shown

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
        inner = causes(a, b, place.rules, self._context)
        return (Cause(Kind.POPULATED), *inner)

    def _equal(self, left: Any, right: Any, place: Place) -> bool:
        trial = Walk(self._trial(), max_depth=self._max_depth - len(self._path), max_differences=1)
        trial.run(left, right, place)
        return trial._total == 0

    def _trial(self) -> Context_:
        """The context for a comparison that only asks: under `inferred` it must not believe new pairs."""
        if self._context.pairings is None:
            return self._context
        return replace(self._context, pairings=None)

    def _tolerate(self, kind: str) -> None:
        self._used[kind, tuple(0 if isinstance(key, int) else key for key in self._path)] += 1

    def _report(
        self, found: tuple[Cause, ...], left: Any, right: Any, place: Place, *, of_parent: bool = False
    ) -> None:
        slots = _slots(place) if of_parent else place.rules
        for cause in found:
            if cause.tolerance in slots:
                self._tolerate(cause.tolerance)
                continue
            self._total += 1
            if len(self._differences) < self._max_differences:
                self._differences.append(Difference(render(self._path), cause.kind, left, right))


def _slots(place: Place) -> set[str]:
    """The kinds that a place forgives, aliases under their plain name."""
    return {slot.partition(":")[0] for slot in place.rules}


def _any_id(keys: list[str]) -> bool:
    return any(TOKEN.search(key) for key in keys)


def _sort(value: Any) -> int:
    kind = type(value)
    return _OBJECT if kind is dict else _ARRAY if kind is list else _SCALAR


def _is_container(value: Any) -> bool:
    return type(value) is dict or type(value) is list


def _is_empty(value: Any) -> bool:
    return value is None or (type(value) in (str, list, dict) and not value)


def _comparable(value: Any) -> Hashable:
    """A sort key that orders as the stores do: numbers by value, dates by instant, text by code point."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float, Decimal)):
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if isinstance(value, str):
        at = instant(value)
        return (at.second.isoformat(), at.nanoseconds) if at is not None else value
    return repr(value)
