"""One hashable form for all values that are equal under the rules, so that arrays can be paired without comparing all with all.

The form only pairs elements: what is reported always comes from walking the pairs, so a form that joins too little costs
an explanation, never a difference.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import Any

from comparators.automaton import Place
from comparators.ids import LEGACY, TOKEN, canonical, translate
from comparators.scalars import Context_, instant


def form(value: Any, place: Place, context: Context_) -> Hashable:
    """The normal form of `value`, which stands at `place`."""
    if "ignore" in place.rules:
        return None
    if isinstance(value, dict):
        return _object(value, place, context)
    if isinstance(value, list):
        items = [form(item, place.index(number), context) for number, item in enumerate(value)]
        if not items and "empty" in place.rules:
            return ("empty",)
        return ("list", tuple(sorted(items, key=repr)) if "order" in place.rules else tuple(items))
    return _scalar(value, place, context)


def _object(value: dict[str, Any], place: Place, context: Context_) -> Hashable:
    if not value and "empty" in place.rules:
        return ("empty",)
    members: dict[str, Hashable] = {}
    for key, item in value.items():
        below = place.name(key)
        if "ignore" in below.rules or (item is None and "null_missing" in below.rules):
            continue
        name = key
        for alias in place.aliases:
            if key in alias.names:
                name = alias.names[0]
        if context.ids != "exact" and TOKEN.search(name):
            name = translate(name, context.table)
        members[name] = form(item, below, context)
    return ("object", frozenset(members.items()))


def _scalar(value: Any, place: Place, context: Context_) -> Hashable:
    rules = place.rules
    if value is None or value == "":
        return ("empty",) if "empty" in rules else (type(value).__name__,)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, str):
        return _text(value, place, context)
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if "number" in rules:
        return ("near",)
    return ("decimal" if "number_string" in rules else "number", number)


def _text(value: str, place: Place, context: Context_) -> Hashable:
    rules = place.rules
    if context.ids != "exact" and TOKEN.search(value):
        if context.pairings is not None:
            return ("text", TOKEN.sub(lambda found: _believed(found[0].lower(), place, context), value))
        return ("text", translate(value, context.table))
    if {"number_string", "decimal_scale", "number"} & rules.keys():
        try:
            number = Decimal(value) if len(value) < 1_000 and value.strip("-0123456789.") == "" else None
        except ArithmeticError:
            number = None
        if number is not None and "number" in rules:
            return ("near",)
        if number is not None:
            return ("decimal", number)
    if ("date_format" in rules or "date_precision" in rules) and (at := instant(value)) is not None:
        digits = rules["date_precision"].digits if "date_precision" in rules else 9
        spelled = () if "date_format" in rules else at.spelling
        return ("date", at.second, at.nanoseconds // 10 ** (9 - digits), spelled)
    if "case" in rules:
        value = value.casefold()
    if "whitespace" in rules:
        value = " ".join(value.split())
    return ("text", value)


def _believed(token: str, place: Place, context: Context_) -> str:
    """Under `inferred` an id is known by its partner, and one that has none yet matches any other such id."""
    if context.pairings is None:
        return token
    known = canonical(token, context.table)
    if known != token or not LEGACY.fullmatch(token):
        return known if context.pairings.owns(known) or known in context.table.by_uuid else "?"
    return context.pairings.partner(place.rules.get("entity", ""), token) or "?"


def identity(value: Any, context: Context_) -> Hashable | None:
    """The id that an object bears (`_id`, else `id`), in one spelling for both sides; None when it bears none."""
    if not isinstance(value, dict):
        return None
    for name in ("_id", "id"):
        own = value.get(name)
        if isinstance(own, str) and own:
            return translate(own, context.table) if context.ids != "exact" else own
        if isinstance(own, int) and not isinstance(own, bool):
            return own
    return None
