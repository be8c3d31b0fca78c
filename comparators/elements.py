"""How two arrays stand to each other under the order rule of their place: who pairs with whom, and whether that is
another order."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from comparators import arrays
from comparators.arrays import Pairing
from comparators.automaton import Place
from comparators.decode import number
from comparators.normal import OWN_IDS, Forms, identity
from comparators.orders import Keyed, OrderRule, Sorted
from comparators.same import Same
from comparators.scalars import Context_, causes, instant

Equal = Callable[[Any, Any, Place, int], bool]
"""Whether two elements are equal under the rules of a place, within so many levels of depth."""

_NO_KEY = object()


@dataclass(frozen=True, slots=True)
class Arrangement:
    """`reordered`: the order differs and nothing forgives it. `forgiven`: the tolerance that let it differ."""

    pairing: Pairing
    reordered: bool = False
    forgiven: str | None = None


class Elements:
    """Arranges the arrays of one comparison."""

    def __init__(
        self,
        context: Context_,
        same: Same,
        forms: Forms,
        equal: Equal,
        may_try: Callable[[], bool],
        *,
        within_trial: bool = False,
    ) -> None:
        self._context = context
        self._same = same
        self._forms = forms
        self._equal = equal
        self._may_try = may_try
        self._within_trial = within_trial

    def arrange(self, left: list[Any], right: list[Any], place: Place, room: int) -> Arrangement:
        """Pair the elements of two arrays. `room` is how deep an element may be. Raises TooDeepError."""
        order: OrderRule | None = place.rules.get("order") if place.rules else None
        if order is None:
            return self._in_order(left, right, place, room)
        if isinstance(order, Sorted):
            return self._sorted(left, right, place, room, order)
        if isinstance(order, Keyed):
            pairing = self._keyed(left, right, place, room, order.name)
            return Arrangement(pairing, forgiven="order_key" if pairing.moved else None)
        pairing = self._multiset(left, right, place, room)
        # Pairs made for want of better ones say nothing about the order.
        return Arrangement(pairing.paired_in_order(), forgiven="order_any" if pairing.moved else None)

    def _in_order(self, left: list[Any], right: list[Any], place: Place, room: int) -> Arrangement:
        if len(left) == len(right) and self._alike(left, right, place, room):
            return Arrangement(arrays.positional(len(left), len(right)))
        ids = self._ids(left, right)
        keys = ids or self._forms_of(left, right, place, room)
        pairing = arrays.multiset(*keys)
        # Without ids a changed element is one missing and one added, which is no sign of another order.
        if pairing.moved and (ids is not None or not (pairing.missing and pairing.added)):
            return Arrangement(pairing, reordered=True)
        return Arrangement(arrays.aligned(*keys))

    def _alike(self, left: list[Any], right: list[Any], place: Place, room: int) -> bool:
        """Whether elements pair by position: none seems to be another row than the one opposite."""
        alone = len(left) == 1
        for index, (a, b) in enumerate(zip(left, right, strict=True)):
            if self._same(a, b, room):
                continue
            if _is_container(a) and _is_container(b):
                mine, other = identity(a, self._context), identity(b, self._context)
                if mine != other:
                    return False
                below = place.index(index)
                if mine is None and not alone and self._forms.of(a, below, room) != self._forms.of(b, below, room):
                    return False
            elif alone or _is_container(a) or _is_container(b):
                continue
            elif not self._forgiven(a, b, place.index(index)):
                return False
        return True

    def _forgiven(self, left: Any, right: Any, place: Place) -> bool:
        found = causes(left, right, place.rules, replace(self._context, pairings=None))
        return all(cause.tolerance in place.rules for cause in found)

    def _ids(self, left: list[Any], right: list[Any]) -> list[list[Hashable]] | None:
        """The id of every element, when all have one and none has another's."""
        found: list[list[Hashable]] = []
        for side in (left, right):
            ids = [identity(element, self._context) for element in side]
            if None in ids or len(set(ids)) < len(ids):
                return None
            found.append(list(ids))
        return found

    def _forms_of(self, left: list[Any], right: list[Any], place: Place, room: int) -> list[list[Hashable]]:
        return [[self._forms.of(e, place.index(i), room) for i, e in enumerate(side)] for side in (left, right)]

    def _multiset(self, left: list[Any], right: list[Any], place: Place, room: int) -> Pairing:
        if len(left) == len(right) and self._same(left, right, room + 1):
            return arrays.positional(len(left), len(right))

        def equal(a: int, b: int) -> bool:
            return self._same(left[a], right[b], room) or self._equal(left[a], right[b], place.index(a), room)

        if (ids := self._ids(left, right)) is not None and not self._ignores_ids(place):
            pairing = arrays.multiset(*ids)
            if not pairing.missing and not pairing.added:
                return pairing
        pairing = arrays.multiset(*self._forms_of(left, right, place, room))
        if self._context.fuzzy:
            # Forms join all numbers that an epsilon might; only pairs that hold are kept.
            held = tuple(pair for pair in pairing.pairs if equal(*pair))
            loose = set(pairing.pairs).difference(held)
            pairing = Pairing(
                held,
                tuple(sorted((*pairing.missing, *(a for a, _ in loose)))),
                tuple(sorted((*pairing.added, *(b for _, b in loose)))),
            )
        if self._within_trial and len(pairing.missing) == 1 and len(pairing.added) == 1:
            # No other choice, so the trial itself finds out; a trial within each trial would multiply level by level.
            pairing = pairing.with_pairs([(pairing.missing[0], pairing.added[0])])
        elif pairing.missing and pairing.added:
            pairing = arrays.joined(pairing, equal, self._may_try)
            pairing = pairing.with_pairs(self._own_ids(left, right, pairing), forced=True)
        return pairing

    def _ignores_ids(self, place: Place) -> bool:
        return any("ignore" in place.index(0).name(name).rules for name in OWN_IDS)

    def _own_ids(self, left: list[Any], right: list[Any], pairing: Pairing) -> list[tuple[int, int]]:
        """Left-over elements that bear the same id."""
        waiting = {identity(right[b], self._context): b for b in reversed(pairing.added)}
        waiting.pop(None, None)
        found = []
        for a in pairing.missing:
            b = waiting.pop(identity(left[a], self._context), None)
            if b is not None:
                found.append((a, b))
        return found

    def _keyed(self, left: list[Any], right: list[Any], place: Place, room: int, name: str) -> Pairing:
        keys: list[list[Hashable]] = [[], []]
        for found, side in zip(keys, (left, right), strict=True):
            for index, element in enumerate(side):
                value = element.get(name, _NO_KEY) if type(element) is dict else _NO_KEY
                below = place.index(index).name(name)
                found.append(None if value is _NO_KEY else self._forms.of(value, below, room - 1))
        if all(len(set(side)) == len(side) for side in keys):
            return arrays.multiset(*keys)
        # Elements with one key are told apart by all that they hold.
        forms = self._forms_of(left, right, place, room)
        pairing = arrays.multiset(*(list(zip(*both, strict=True)) for both in zip(keys, forms, strict=True)))
        rest = arrays.multiset([keys[0][a] for a in pairing.missing], [keys[1][b] for b in pairing.added])
        return pairing.with_pairs((pairing.missing[a], pairing.added[b]) for a, b in rest.pairs)

    def _sorted(self, left: list[Any], right: list[Any], place: Place, room: int, rule: Sorted) -> Arrangement:
        if len(left) == len(right) and self._same(left, right, room + 1):
            return Arrangement(arrays.positional(len(left), len(right)))
        keys = [[tuple(_sort_value(e, names) for names in rule.keys) for e in side] for side in (left, right)]
        ids = self._ids(left, right)
        pairing = arrays.multiset(*(ids or self._forms_of(left, right, place, room)))
        tied = arrays.multiset([keys[0][a] for a in pairing.missing], [keys[1][b] for b in pairing.added])
        pairing = pairing.with_pairs(((pairing.missing[a], pairing.added[b]) for a, b in tied.pairs), forced=True)
        if ids is None:
            pairing = pairing.paired_in_order()
        if arrays.out_of_order(pairing.pairs, arrays.runs(keys[0]), arrays.runs(keys[1])):
            return Arrangement(pairing, reordered=True)
        return Arrangement(pairing, forgiven="order_sorted_by" if pairing.moved else None)


def _is_container(value: Any) -> bool:
    return type(value) is dict or type(value) is list


def _sort_value(element: Any, names: tuple[str, ...]) -> Hashable:
    """The value of a sort field, so that equal ones tie: numbers by value, dates by instant, the rest as it stands."""
    for name in names:
        element = element.get(name) if type(element) is dict else None
    if element is None or isinstance(element, bool):
        return (type(element), element)
    if isinstance(element, int | float | Decimal):
        return number(element)
    if isinstance(element, str):
        at = instant(element)
        return (at.second, at.nanoseconds) if at is not None else element
    return repr(element)
