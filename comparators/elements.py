"""How two arrays stand to each other under the order rule of their place: who pairs with whom, and whether that is
another order."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from comparators import arrays
from comparators.arrays import Pairing
from comparators.automaton import Place
from comparators.normal import OWN_IDS, Forms, identities, identity
from comparators.orders import Keyed, OrderRule, Sorted
from comparators.same import unequal_indexes
from comparators.scalars import Context_, causes
from comparators.sorting import is_sorted, sort_values, tie
from comparators.trials import Trials

Equal = Callable[[Any, Any, Place, int], bool]
"""Whether two elements are equal under the rules of a place, within so many levels of depth."""

_NO_KEY = object()


class Arrangement(NamedTuple):
    """`reordered`: the order differs and nothing forgives it. `forgiven`: the tolerance that let it differ."""

    pairing: Pairing
    reordered: bool = False
    forgiven: str | None = None


class Elements:
    """Arranges the arrays of one comparison."""

    def __init__(self, context: Context_, trials: Trials, *, within_trial: bool = False) -> None:
        self._context = context
        self._trials = trials
        self._within_trial = within_trial

    def arrange(self, left: list[Any], right: list[Any], place: Place, room: int, equal: Equal) -> Arrangement:
        """Pair the elements of two arrays. `room` is how deep an element may be. Raises TooDeepError."""
        order: OrderRule | None = place.rules.get("order") if place.rules else None
        if order is None:
            return self._in_order(left, right, place, room)
        if isinstance(order, Sorted):
            return self._sorted(left, right, place, room, order)
        if isinstance(order, Keyed):
            pairing = self._keyed(left, right, place, room, order.name)
            return Arrangement(pairing, forgiven="order_key" if pairing.moved else None)
        pairing = self._multiset(left, right, place, room, equal)
        # Pairs made for want of better ones say nothing about the order.
        return Arrangement(pairing.paired_in_order(), forgiven="order_any" if pairing.moved else None)

    def _in_order(self, left: list[Any], right: list[Any], place: Place, room: int) -> Arrangement:
        if len(left) == len(right):
            unequal = self._unequal_places(left, right, place, room)
            if unequal is not None:
                return Arrangement(Pairing(tuple([(index, index) for index in unequal])))
        ids = self._ids(left, right)
        keys = ids or self._forms_of(left, right, place, room)
        pairing = arrays.multiset(*keys)
        aligned = arrays.aligned(*keys)
        # Without ids a changed element is one missing and one added, which is no sign of another order.
        if pairing.moved and (ids is not None or not (pairing.missing and pairing.added)):
            in_order = all(keys[0][a] == keys[1][b] for a, b in aligned.pairs)
            if not in_order or len(aligned.missing) > len(pairing.missing):
                return Arrangement(pairing, reordered=True)
        return Arrangement(aligned)

    def _unequal_places(self, left: list[Any], right: list[Any], place: Place, room: int) -> list[int] | None:
        """The indexes of unequal elements when elements pair by position; None when some element seems to be another
        row than the one opposite."""
        unequal = unequal_indexes(left, right, place.marks)
        alone = len(left) == 1
        for index in unequal:
            a, b = left[index], right[index]
            if type(a) is dict and type(b) is dict and a.get("_id", _NO_KEY) == b.get("_id"):
                continue
            mine, other = identity(a, self._context), identity(b, self._context)
            if mine is not None or other is not None:
                if mine != other and not (alone and not (_is_container(a) and _is_container(b))):
                    return None
            elif alone:
                continue
            elif _is_container(a) or _is_container(b):
                below = place.index(index)
                if self._forms().of(a, below, room) != self._forms().of(b, below, room):
                    return None
            elif not self._forgiven(a, b, place.index(index)):
                return None
        return unequal

    def _forgiven(self, left: Any, right: Any, place: Place) -> bool:
        found = causes(left, right, place.rules, self._context._replace(pairings=None))
        return all(cause.tolerance in place.rules for cause in found)

    def _ids(self, left: list[Any], right: list[Any]) -> tuple[list[Hashable], list[Hashable]] | None:
        """The id of every element, when all have one and none has another's."""
        mine = identities(left, self._context)
        theirs = None if mine is None else identities(right, self._context)
        return None if mine is None or theirs is None else (mine, theirs)

    def _forms(self) -> Forms:
        return self._trials.forms(believing=not self._within_trial)

    def _forms_of(self, left: list[Any], right: list[Any], place: Place, room: int) -> list[list[Hashable]]:
        form_of = self._forms().of
        return [[form_of(e, place.index(i), room) for i, e in enumerate(side)] for side in (left, right)]

    def _multiset(self, left: list[Any], right: list[Any], place: Place, room: int, equal_elements: Equal) -> Pairing:
        if len(left) == len(right) and self._trials.same(left, right):
            return arrays.positional(len(left), len(right))

        def equal(a: int, b: int) -> bool:
            return self._trials.same(left[a], right[b]) or equal_elements(left[a], right[b], place.index(a), room)

        ids = None if self._ignores_ids(place) else self._ids(left, right)
        if ids is not None:
            pairing = arrays.multiset(*ids)
            if not pairing.missing and not pairing.added:
                return pairing
        # Under `inferred` an id that has no partner yet may stand for any other, which only forms know.
        by_id = ids is not None and self._context.pairings is None
        if not by_id:
            pairing = arrays.multiset(*self._forms_of(left, right, place, room))
        if self._context.fuzzy and not by_id:
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
            pairing = arrays.joined(pairing, equal, self._trials.spend)
            pairing = pairing.with_pairs(self._own_ids(left, right, pairing), forced=True)
        return pairing

    def _ignores_ids(self, place: Place) -> bool:
        return place.marks != () and any(place.index(0).name(name).ignored for name in OWN_IDS)

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
        plain = _plain_keys(left, name), _plain_keys(right, name)
        if plain[0] and plain[0].keys() == plain[1].keys():
            return Pairing(tuple([(index, plain[1][key]) for key, index in plain[0].items()]))
        keys: list[list[Hashable]] = [[], []]
        for found, side in zip(keys, (left, right), strict=True):
            for index, element in enumerate(side):
                value = element.get(name, _NO_KEY) if type(element) is dict else _NO_KEY
                below = place.index(index).name(name)
                found.append(None if value is _NO_KEY else self._forms().of(value, below, room - 1))
        if all(len(set(side)) == len(side) for side in keys):
            return arrays.multiset(*keys)
        # Elements with one key are told apart by all that they hold.
        forms = self._forms_of(left, right, place, room)
        pairing = arrays.multiset(*(list(zip(*both, strict=True)) for both in zip(keys, forms, strict=True)))
        rest = arrays.multiset([keys[0][a] for a in pairing.missing], [keys[1][b] for b in pairing.added])
        return pairing.with_pairs((pairing.missing[a], pairing.added[b]) for a, b in rest.pairs)

    def _sorted(self, left: list[Any], right: list[Any], place: Place, room: int, rule: Sorted) -> Arrangement:
        if len(left) == len(right) and self._trials.same(left, right):
            return Arrangement(arrays.positional(len(left), len(right)))
        values = [[sort_values(element, rule) for element in side] for side in (left, right)]
        keys = [[tie(each) for each in side] for side in values]
        ids = self._ids(left, right)
        pairing = arrays.multiset(*(ids or self._forms_of(left, right, place, room)))
        tied = arrays.multiset([keys[0][a] for a in pairing.missing], [keys[1][b] for b in pairing.added])
        pairing = pairing.with_pairs(((pairing.missing[a], pairing.added[b]) for a, b in tied.pairs), forced=True)
        if ids is None:
            pairing = pairing.paired_in_order()
        if arrays.out_of_order(pairing.pairs, arrays.runs(keys[0]), arrays.runs(keys[1])):
            return Arrangement(pairing, reordered=True)
        if not pairing.moved:
            return Arrangement(pairing)
        # Ties are forgiven only to sides that are sorted as the rule says.
        if not all(is_sorted(side, rule) for side in values):
            return Arrangement(pairing, reordered=True)
        return Arrangement(pairing, forgiven="order_sorted_by")


def _plain_keys(elements: list[Any], name: str) -> dict[Hashable, int]:
    """Where each value of the member `name` stands; empty when not all elements have one of their own."""
    found: dict[Hashable, int] = {}
    for index, element in enumerate(elements):
        value = element.get(name) if type(element) is dict else None
        if type(value) is not str and type(value) is not int:
            return {}
        found[value] = index
    return found if len(found) == len(elements) else {}


def _is_container(value: Any) -> bool:
    return type(value) is dict or type(value) is list
