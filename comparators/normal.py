"""One small number for all values that are equal under the rules, so that arrays can be paired without comparing all
with all.

Numbers only pair elements: what is reported always comes from walking the pairs, so a form that joins too little or too
much costs an explanation, never a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from decimal import Decimal
from typing import Any

from comparators.automaton import Place
from comparators.extended import unwrap
from comparators.ids import LEGACY, TOKEN, canonical, translate, whole
from comparators.scalars import Context_, as_decimal, instant

OWN_IDS = ("_id", "id")
"""The names under which an object bears its own id, the likelier first."""


class TooDeepError(Exception):
    """The values are nested deeper than the comparison goes."""


class Forms:
    """The forms of one comparison: equal numbers for equal values.

    Each container is looked at once per place; values must outlive this object.
    """

    def __init__(self, context: Context_) -> None:
        self._context = context
        self._numbers: dict[Hashable, int] = {}
        self._known: dict[tuple[int, int], int] = {}
        self._believed = 0

    def of(self, value: Any, place: Place, room: int) -> int:
        """The form of `value`, which stands at `place`. Raises TooDeepError beyond `room` levels."""
        if place.ignored:
            return self._number(("ignored",))
        if not isinstance(value, dict | list):
            return self._number(_scalar(value, place, self._context))
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
        if not value and "empty" in place.rules:
            return ("empty",)
        items = [0] * len(value)
        for index, item in enumerate(value):
            # Not a comprehension: that is one more stack frame for each level.
            items[index] = self.of(item, place.index(index), room - 1)
        if "order" in place.rules:
            return ("bag", frozenset(Counter(items).items()))
        return ("list", tuple(items))

    def _object(self, value: dict[str, Any], place: Place, room: int) -> Hashable:
        if not value and "empty" in place.rules:
            return ("empty",)
        if len(value) == 1 and (wrapped := unwrap(value)) is not None:
            number = as_decimal(wrapped.text) if wrapped.sort == "number" else None
            return _scalar(wrapped.text if number is None else number, place, self._context)
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


def _scalar(value: Any, place: Place, context: Context_) -> Hashable:
    rules = place.rules
    if value is None or value == "":
        return ("empty",) if "empty" in rules else (type(value).__name__,)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, str):
        return _text(value, place, context)
    if "number" in rules:
        return ("near",)
    return ("decimal" if "number_string" in rules else "number", value)


def _text(value: str, place: Place, context: Context_) -> Hashable:
    if context.ids != "exact" and len(value) >= 24 and TOKEN.search(value):
        if context.pairings is not None:
            return ("text", TOKEN.sub(lambda found: _believed(found[0].lower(), place, context), value))
        return ("text", translate(value, context.table))
    rules = place.rules
    if not rules:
        return ("text", value)
    if {"number_string", "decimal_scale", "number"} & rules.keys():
        try:
            written = Decimal(value) if len(value) < 1_000 and value.strip("-0123456789.") == "" else None
        except ArithmeticError:
            written = None
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


def _believed(token: str, place: Place, context: Context_) -> str:
    """Under `inferred` an id is known by its partner, and one that has none yet matches any other such id."""
    pairings = context.pairings
    if pairings is None:
        return token
    known = canonical(token, context.table)
    if known != token or not LEGACY.fullmatch(token):
        return known if pairings.partners(known) or known in context.table.by_uuid else "?"
    return pairings.partner(place.rules.get("entity", ""), token) or "?"


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
