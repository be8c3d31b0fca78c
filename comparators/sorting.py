"""The sort keys of `sorted_by`: their values, and whether an array is sorted by them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise, product
from typing import Any, Literal

from comparators.extended import unwrap
from comparators.ids import whole
from comparators.orders import Sorted
from comparators.scalars import instant

_Nulls = Literal["first", "last", "smallest", "largest"]
_ANY_NULLS: tuple[_Nulls, ...] = ("first", "last", "smallest", "largest")


def sort_values(element: Any, rule: Sorted) -> tuple[Any, ...]:
    """The values that an element is sorted by; None where it has none."""
    return tuple([_reached(element, key.names) for key in rule.keys])


def _reached(element: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        element = element.get(name) if type(element) is dict else None
    wrapped = unwrap(element)
    if wrapped is None:
        return element
    return (_number(wrapped.text) or wrapped.text) if wrapped.sort == "number" else wrapped.text


def tie(values: Sequence[Any]) -> Hashable:
    """The same for sort values that tie: numbers by value, dates by instant, the rest as it stands."""
    return tuple([_tied(value) for value in values])


def _tied(value: Any) -> Hashable:
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, str):
        at = instant(value)
        return (at.second, at.nanoseconds) if at is not None else value
    return repr(value) if isinstance(value, dict | list) else value


def is_sorted(elements: Sequence[Sequence[Any]], rule: Sorted) -> bool:
    """Whether elements with these sort values stand as the rule says.

    Texts may be sorted by code point (as MongoDB does, and Postgres under the "C" collation) or without regard to case;
    texts of numbers as numbers or as texts. What sorts otherwise in either store or under another collation is not
    judged, and neither are the keys behind it: ids, texts of more than ASCII letters and digits, two types.
    """
    policies = _ANY_NULLS if rule.nulls is None else (rule.nulls,)
    ways = product(policies, (False, True))
    return any(all(_stands(a, b, rule, nulls, fold=fold) for a, b in pairwise(elements)) for nulls, fold in ways)


def _stands(left: Sequence[Any], right: Sequence[Any], rule: Sorted, nulls: _Nulls, *, fold: bool) -> bool:
    """Whether `left` may stand before `right`."""
    for key, a, b in zip(rule.keys, left, right, strict=True):
        if a is None and b is None:
            continue
        if a is None or b is None:
            first = nulls == "first" or nulls == ("largest" if key.descending else "smallest")
            return (a is None) is first
        order = _compared(a, b, fold=fold)
        if order is None:
            return True
        if order:
            return (order > 0) is key.descending
    return True


def _compared(a: Any, b: Any, *, fold: bool) -> int | None:
    """Below, at or above 0 as `a` sorts before, with or after `b`; None where that cannot be told."""
    if isinstance(a, str) and isinstance(b, str):
        return _texts_compared(a, b, fold=fold)
    if isinstance(a, bool) or isinstance(b, bool):
        return int(a) - int(b) if type(a) is type(b) else None
    if isinstance(a, int | Decimal) and isinstance(b, int | Decimal):
        return (a > b) - (a < b)
    return None


def _texts_compared(a: str, b: str, *, fold: bool) -> int | None:
    one, two = instant(a), instant(b)
    if one is not None and two is not None and (one.second.tzinfo is None) == (two.second.tzinfo is None):
        left, right = (one.second, one.nanoseconds), (two.second, two.nanoseconds)
        return (left > right) - (left < right)
    if whole(a) is not None and whole(b) is not None:
        return None
    number, other = _number(a), _number(b)
    if number is not None and other is not None:
        return (number > other) - (number < other) if fold else (a > b) - (a < b)
    if not (a.isascii() and b.isascii() and a.isalnum() and b.isalnum()):
        return None
    if fold:
        a, b = a.casefold(), b.casefold()
    return (a > b) - (a < b)


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text) if len(text) < 1_000 else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() else None
