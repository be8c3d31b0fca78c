"""One small number for all values that are equal under the rules, so that arrays can be paired without comparing all
with all.

Numbers only pair elements: what is reported always comes from walking the pairs, so a form that joins too little or too
much costs an explanation, never a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

from comparators.automaton import Place
from comparators.extended import unwrap
from comparators.ids import LEGACY, TOKEN, IdTable, canonical, translate, whole
from comparators.orders import Sorted
from comparators.scalars import Context_, as_decimal, instant

OWN_IDS = ("_id", "id")
"""The names under which an object bears its own id, the likelier first."""
_LEGACY_LENGTH = 24


class TooDeepError(Exception):
    """The values are nested deeper than the comparison goes."""


class Forms:
    """The forms of one comparison: equal numbers for equal values.

    Each container is looked at once per place; values must outlive this object. `exact` forms know ids, ignored places
    and arrays without order, but no tolerances: values of one exact form are surely equal. `joins_more` says
    that some other form was made that joins more than the rules do.
    """

    def __init__(self, context: Context_, *, exact: bool = False) -> None:
        self._context = context
        self._exact = exact
        self.joins_more = False
        self._numbers: dict[Hashable, int] = {}
        self._known: dict[tuple[int, int], int] = {}
        self._believed = 0

    def of(self, value: Any, place: Place, room: int) -> int:
        """The form of `value`, which stands at `place`. Raises TooDeepError beyond `room` levels."""
        if place.ignored:
            return self._number(("ignored",))
        if not isinstance(value, dict | list):
            if self._exact:
                return self._number(_exact_scalar(value, self._context))
            return self._number(_scalar(value, place.rules, self._context))
        if room <= 0:
            raise TooDeepError
        pairings = self._context.pairings
        if pairings is not None and len(pairings) != self._believed:
            # An id is known by its partner, so forms made before a pair was believed are stale.
            self._believed = len(pairings)
            self._known.clear()
        key = (id(value), id(place))
        known = self._known.get(key)
        if known is None:
            made = self._object(value, place, room) if isinstance(value, dict) else self._array(value, place, room)
            known = self._known[key] = self._number(made)
        return known

    def _number(self, made: Hashable) -> int:
        return self._numbers.setdefault(made, len(self._numbers))

    def _array(self, value: list[Any], place: Place, room: int) -> Hashable:
        if not value and "empty" in place.rules and not self._exact:
            return ("empty",)
        items = [0] * len(value)
        for index, item in enumerate(value):
            # Not a comprehension: that is one more stack frame for each level.
            items[index] = self.of(item, place.index(index), room - 1)
        order = place.rules.get("order")
        if order is not None and not (self._exact and isinstance(order, Sorted)):
            self.joins_more = self.joins_more or isinstance(order, Sorted)
            return ("bag", frozenset(Counter(items).items()))
        return ("list", tuple(items))

    def _object(self, value: dict[str, Any], place: Place, room: int) -> Hashable:
        if self._exact:
            return self._exact_object(value, place, room)
        if not value and "empty" in place.rules:
            return ("empty",)
        if len(value) == 1 and (wrapped := unwrap(value)) is not None:
            self.joins_more = True
            number = as_decimal(wrapped.text) if wrapped.sort == "number" else None
            return _scalar(wrapped.text if number is None else number, place.rules, self._context)
        members: list[tuple[str, int]] = []
        for key, item in value.items():
            below = place.name(key)
            if below.ignored or (item is None and "null_missing" in below.rules):
                continue
            name = key
            for alias, _ in place.aliases:
                if key in alias.names:
                    name = alias.names[0]
            if self._context.ids != "exact" and len(name) >= 24:
                name = translate(name, self._context.table)
            members.append((name, self.of(item, below, room - 1)))
        return ("object", frozenset(members))

    def _exact_object(self, value: dict[str, Any], place: Place, room: int) -> Hashable:
        members: list[tuple[str, int]] = []
        for key, item in value.items():
            below = place.name(key)
            if not below.ignored:
                members.append((_exact_text(key, self._context), self.of(item, below, room - 1)))
        return ("object", frozenset(members))


def _exact_scalar(value: Any, context: Context_) -> Hashable:
    if isinstance(value, str):
        return ("text", _exact_text(value, context))
    return (type(value) is bool, value)


def _exact_text(text: str, context: Context_) -> str:
    """The text with ids put as uuids where they are joined one to one, so that no two rows become one."""
    if context.ids == "exact" or len(text) < _LEGACY_LENGTH or text in context.table.by_uuid:
        return text
    return TOKEN.sub(lambda found: _surely(found[0], context.table), text)


def _surely(token: str, table: IdTable) -> str:
    if token in table.plain:
        return table.plain[token]
    uuids = {pair.uuid for pair in table.by_legacy.get(token, ())}
    back = {pair.legacy for uuid in uuids for pair in table.by_uuid.get(uuid, ())}
    return uuids.pop() if len(uuids) == 1 == len(back) else token


def _scalar(value: Any, rules: Mapping[str, Any], context: Context_) -> Hashable:
    if value is None or value == "":
        return ("empty",) if "empty" in rules else (type(value).__name__,)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, str):
        return _text(value, rules, context)
    if "number" in rules:
        return ("near",)
    return ("decimal" if "number_string" in rules else "number", value)


def _text(value: str, rules: Mapping[str, Any], context: Context_) -> Hashable:
    if context.ids != "exact" and len(value) >= 24 and TOKEN.search(value):
        if context.pairings is not None:
            return ("text", TOKEN.sub(lambda found: _believed(found[0].lower(), rules, context), value))
        return ("text", translate(value, context.table))
    if not rules:
        return ("text", value)
    if {"number_string", "decimal_scale", "number"} & rules.keys():
        written = as_decimal(value)
        if written is not None:
            return ("near",) if "number" in rules else ("decimal", written)
    if ("date_format" in rules or "date_precision" in rules) and (at := instant(value)) is not None:
        digits = rules["date_precision"].digits if "date_precision" in rules else 9
        spelled = () if "date_format" in rules else at.style
        return ("date", at.second, at.nanoseconds // 10 ** (9 - digits), spelled)
    if "case" in rules:
        value = value.casefold()
    if "whitespace" in rules:
        value = " ".join(value.split())
    return ("text", value)


def _believed(token: str, rules: Mapping[str, Any], context: Context_) -> str:
    """Under `inferred` an id is known by its partner, and one that has none yet matches any other such id."""
    pairings = context.pairings
    if pairings is None:
        return token
    known = canonical(token, context.table)
    if known != token or not LEGACY.fullmatch(token):
        return known if pairings.partners(known) or known in context.table.by_uuid else "?"
    return pairings.partner(rules.get("entity", ""), token) or "?"


def identity(value: Any, context: Context_) -> Hashable | None:
    """The id that an element is, wraps, or bears (`_id`, else `id`), in one spelling for both sides; None without one.

    Under `inferred` an id that stands for itself says nothing yet, so only those that objects bear count.
    """
    if type(value) is dict:
        for name in OWN_IDS:
            own = value.get(name)
            if type(own) is int:
                return own
            if (found := _id_of(own, context)) is not None:
                return found
    return _lone_id(value, context) if context.pairings is None else None


def _id_of(own: Any, context: Context_) -> Hashable | None:
    """The id that stands in an `_id`: any text, there."""
    if type(own) is dict:
        wrapped = unwrap(own)
        own = wrapped.text if wrapped is not None and wrapped.sort == "id" else None
    if type(own) is not str or not own:
        return None
    return translate(own, context.table) if context.ids != "exact" else own


def _lone_id(value: Any, context: Context_) -> Hashable | None:
    if type(value) is str:
        return _id_of(value, context) if context.ids != "exact" and whole(value) is not None else None
    return _id_of(value, context) if type(value) is dict and len(value) == 1 else None


def identities(elements: list[Any], context: Context_) -> list[Hashable] | None:
    """The id of every element, when all have one and none has another's."""
    found: list[Hashable] = []
    for element in elements:
        own = identity(element, context)
        if own is None:
            return None
        found.append(own)
    return found if len(set(found)) == len(found) else None
