"""How two arrays stand to each other under the order rule of their place: who pairs with whom, and whether that is
another order."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from decimal import Decimal
from typing import Any, NamedTuple

from comparators import arrays
from comparators.arrays import Pairing
from comparators.automaton import Place
from comparators.normal import OWN_IDS, Forms, identities, identity
from comparators.orders import Keyed, OrderRule, Sorted
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

    def arrange(
        self,
        left: list[Any],
        right: list[Any],
        place: Place,
        room: int,
        equal: Equal,
        unequal: list[int] | None,
    ) -> Arrangement:
        """Pair the elements of two arrays. `room` is how deep an element may be. Raises TooDeepError.

        `unequal` has the places at which arrays of one length, without an order rule, are not the same.
        """
        order: OrderRule | None = place.rules.get("order") if place.rules else None
        if order is None:
            return self._in_order(left, right, place, room, unequal)
        if isinstance(order, Sorted):
            return self._sorted(left, right, place, room, order, equal)
        if isinstance(order, Keyed):
            pairing = self._keyed(left, right, place, room, order.name)
            return Arrangement(pairing, forgiven="order_key" if pairing.moved else None)
        pairing = self._multiset(left, right, place, room, equal)
        # Pairs made for want of better ones say nothing about the order.
        return Arrangement(pairing.paired_in_order(), forgiven="order_any" if pairing.moved else None)

    def _in_order(
        self, left: list[Any], right: list[Any], place: Place, room: int, unequal: list[int] | None
    ) -> Arrangement:
        if unequal is not None and self._pair_by_position(left, right, place, room, unequal):
            return Arrangement(Pairing(tuple([(index, index) for index in unequal])))
        ids = self._ids(left, right)
        keys = ids or self._exact(left, right, place, room)
        pairing = arrays.multiset(*keys)
        if ids is None:
            aligned = arrays.aligned_within(keys, self._forms_of(self._forms(), left, right, place, room))
        else:
            aligned = arrays.aligned(*keys)
        # Without ids a changed element is one missing and one added, which is no sign of another order.
        if pairing.moved and (ids is not None or not (pairing.missing and pairing.added)):
            in_order = all(keys[0][a] == keys[1][b] for a, b in aligned.pairs)
            if not in_order or len(aligned.missing) > len(pairing.missing):
                return Arrangement(pairing, reordered=True)
        return Arrangement(aligned)

    def _pair_by_position(self, left: list[Any], right: list[Any], place: Place, room: int, unequal: list[int]) -> bool:
        """Whether no unequal element seems to be another row than the one opposite."""
        alone = len(left) == 1
        for index in unequal:
            a, b = left[index], right[index]
            if type(a) is dict and type(b) is dict and a.get("_id", _NO_KEY) == b.get("_id"):
                continue
            mine, other = identity(a, self._context), identity(b, self._context)
            if mine is not None or other is not None:
                if mine != other and not (alone and not (_is_container(a) and _is_container(b))):
                    return False
            elif alone:
                continue
            elif _is_container(a) or _is_container(b):
                below = place.index(index)
                if self._forms().of(a, below, room) != self._forms().of(b, below, room):
                    return False
            elif not self._forgiven(a, b, place.index(index)):
                return False
        return True

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

    def _uncertain(self) -> bool:
        """Whether values of one form need not be equal, or equal ones may have two."""
        return (
            self._context.fuzzy
            or self._context.pairings is not None
            or not self._context.table.one_to_one
            or self._forms().joins_more
        )

    def _exact(self, left: list[Any], right: list[Any], place: Place, room: int) -> list[list[Hashable]]:
        """The same for elements that are surely equal, without the help of a tolerance."""
        # Under `inferred` an id that has no partner yet may stand for any other, which exact forms do not know.
        believing = self._context.pairings is not None
        return self._forms_of(self._forms() if believing else self._trials.exact, left, right, place, room)

    def _forms_of(
        self, forms: Forms, left: list[Any], right: list[Any], place: Place, room: int
    ) -> list[list[Hashable]]:
        form_of = forms.of
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
        if ids is None or self._context.pairings is not None:
            pairing = arrays.multiset(*self._exact(left, right, place, room))
        if not pairing.missing or not pairing.added:
            return pairing
        if self._within_trial and len(pairing.missing) == 1 and len(pairing.added) == 1:
            # No other choice, so the trial itself finds out; a trial within each trial would multiply level by level.
            return pairing.with_pairs([(pairing.missing[0], pairing.added[0])])
        pairing = self._matched(pairing, left, right, place, room, equal)
        if self._uncertain():
            pairing = arrays.joined(pairing, equal, self._trials.spend)
        return pairing.with_pairs(self._own_ids(left, right, pairing), forced=True)

    def _matched(
        self,
        pairing: Pairing,
        left: list[Any],
        right: list[Any],
        place: Place,
        room: int,
        equal: Callable[[int, int], bool],
    ) -> Pairing:
        """Pair what is left over within each form; pairs made so far may change their partners for that."""
        form_of = self._forms().of
        classes: dict[Hashable, _Class] = {}
        for a in pairing.missing:
            classes.setdefault(form_of(left[a], place.index(a), room), _Class()).missing.append(a)
        for b in pairing.added:
            classes.setdefault(form_of(right[b], place.index(b), room), _Class()).added.append(b)
        for a, b in pairing.pairs:
            if (each := classes.get(form_of(left[a], place.index(a), room))) is not None:
                each.pairs.append((a, b))
        settled = set(pairing.pairs)
        cut = pairing.cut
        for each in classes.values():
            if not each.missing or not each.added:
                continue
            settled.difference_update(each.pairs)
            mine, theirs = each.all_missing(), each.all_added()
            if all(_is_number(left[a]) for a in mine) and all(_is_number(right[b]) for b in theirs):
                mine.sort(key=left.__getitem__)
                theirs.sort(key=right.__getitem__)
                settled.update(_nearest(mine, theirs, left, right, equal))
            elif not self._uncertain():
                settled.update(each.pairs)
                settled.update(zip(each.missing, each.added, strict=False))
            else:
                found, missed = arrays.matched(each.missing, theirs, each.pairs, equal, self._trials.spend)
                settled.update(found)
                cut = cut or missed
        return arrays.left_over(sorted(settled), len(left), len(right), cut=cut)

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
        form_of = self._forms().of
        for found, side in zip(keys, (left, right), strict=True):
            for index, element in enumerate(side):
                value = element.get(name, _NO_KEY) if type(element) is dict else _NO_KEY
                below = place.index(index).name(name)
                found.append(None if value is _NO_KEY else form_of(value, below, room - 1))
        if all(len(set(side)) == len(side) for side in keys):
            pairing = arrays.multiset(*keys)
        else:
            # Elements with one key are told apart by all that they hold.
            pairing = Pairing((), tuple(range(len(left))), tuple(range(len(right))))
            for whole in (
                self._exact(left, right, place, room),
                self._forms_of(self._forms(), left, right, place, room),
            ):
                rest = arrays.multiset(
                    [(keys[0][a], whole[0][a]) for a in pairing.missing],
                    [(keys[1][b], whole[1][b]) for b in pairing.added],
                )
                pairing = pairing.with_pairs([(pairing.missing[a], pairing.added[b]) for a, b in rest.pairs])
            rest = arrays.multiset([keys[0][a] for a in pairing.missing], [keys[1][b] for b in pairing.added])
            pairing = pairing.with_pairs((pairing.missing[a], pairing.added[b]) for a, b in rest.pairs)
        if not pairing.missing or not pairing.added or not self._uncertain():
            return pairing

        def one_key(a: int, b: int) -> bool:
            mine, theirs = (e.get(name) if type(e) is dict else None for e in (left[a], right[b]))
            context = self._context._replace(pairings=None)
            return type(mine) is str and not causes(mine, theirs, place.index(a).name(name).rules, context)

        return arrays.joined(pairing, one_key, self._trials.spend)

    def _sorted(
        self, left: list[Any], right: list[Any], place: Place, room: int, rule: Sorted, equal_elements: Equal
    ) -> Arrangement:
        if len(left) == len(right) and self._trials.same(left, right):
            return Arrangement(arrays.positional(len(left), len(right)))
        values = [[sort_values(element, rule) for element in side] for side in (left, right)]
        keys = [[tie(each) for each in side] for side in values]
        ids = self._ids(left, right)
        pairing = arrays.multiset(*(ids or self._exact(left, right, place, room)))
        if ids is None and pairing.missing and pairing.added:

            def equal(a: int, b: int) -> bool:
                return self._trials.same(left[a], right[b]) or equal_elements(left[a], right[b], place.index(a), room)

            pairing = self._matched(pairing, left, right, place, room, equal)
        tied = arrays.multiset([keys[0][a] for a in pairing.missing], [keys[1][b] for b in pairing.added])
        pairing = pairing.with_pairs(((pairing.missing[a], pairing.added[b]) for a, b in tied.pairs), forced=True)
        if ids is None:
            pairing = pairing.paired_in_order()
        reordered = arrays.out_of_order(pairing.pairs, arrays.runs(keys[0]), arrays.runs(keys[1]))
        # Ties are forgiven only to sides that are sorted as the rule says.
        reordered = reordered or (pairing.moved and not all(is_sorted(side, rule) for side in values))
        if (reordered or pairing.missing) and self._equal_in_place(left, right, place, room, equal_elements):
            return Arrangement(arrays.positional(len(left), len(right)))
        forgiven = "order_sorted_by" if pairing.moved and not reordered else None
        return Arrangement(pairing, reordered, forgiven)

    def _equal_in_place(self, left: list[Any], right: list[Any], place: Place, room: int, equal: Equal) -> bool:
        """Whether elements are equal to those opposite with the help of tolerances that no form knows."""
        if len(left) != len(right) or not self._uncertain():
            return False
        return all(
            self._trials.spend() and (self._trials.same(a, b) or equal(a, b, place.index(index), room))
            for index, (a, b) in enumerate(zip(left, right, strict=True))
        )


def _plain_keys(elements: list[Any], name: str) -> dict[Hashable, int]:
    """Where each value of the member `name` stands; empty when not all elements have one of their own."""
    found: dict[Hashable, int] = {}
    for index, element in enumerate(elements):
        value = element.get(name) if type(element) is dict else None
        if type(value) is not str and type(value) is not int:
            return {}
        found[value] = index
    return found if len(found) == len(elements) else {}


class _Class:
    """The elements of one form: those without a partner yet, and the pairs."""

    def __init__(self) -> None:
        self.missing: list[int] = []
        self.added: list[int] = []
        self.pairs: list[tuple[int, int]] = []

    def all_missing(self) -> list[int]:
        return [*self.missing, *(a for a, _ in self.pairs)]

    def all_added(self) -> list[int]:
        return [*self.added, *(b for _, b in self.pairs)]


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is Decimal


def _nearest(
    mine: list[int], theirs: list[int], left: list[Any], right: list[Any], equal: Callable[[int, int], bool]
) -> list[tuple[int, int]]:
    """As many pairs of near numbers as there can be, of two sorted runs: the least of each side first."""
    pairs: list[tuple[int, int]] = []
    a = b = 0
    while a < len(mine) and b < len(theirs):
        if equal(mine[a], theirs[b]):
            pairs.append((mine[a], theirs[b]))
            a, b = a + 1, b + 1
        elif left[mine[a]] < right[theirs[b]]:
            a += 1
        else:
            b += 1
    return pairs


def _is_container(value: Any) -> bool:
    return type(value) is dict or type(value) is list
