"""Which rules might forgive a difference, the narrowest first. None of them is proved here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from itertools import pairwise
from typing import Any

from comparators.ids import whole
from comparators.model import Difference, Kind
from comparators.normal import OWN_IDS
from comparators.paths import Key, PathError, compile_path
from comparators.rules import Rules

_BY_NAME = frozenset({
    Kind.NULL_MISSING, Kind.NUMBER_STRING, Kind.DECIMAL_SCALE, Kind.DATE_FORMAT, Kind.CASE, Kind.WHITESPACE,
    Kind.EMPTY, Kind.POPULATED,
})  # fmt: skip
"""Kinds whose rule says no more than the kind."""
_UNITS = ("us", "ms", "s")
_MAX_FIELDS = 20
_MAX_SORTS = 2

_DOUBLE_DIGITS = 17
"""Significant digits that tell any two doubles apart (IEEE 754)."""
_NOISE = Decimal("1e-14")
"""The relative error that a few operations on doubles may leave: some tens of units in the last place."""
_MAX_MAGNITUDE = 300
_EXACT = Context(prec=700)

_LAST_NAME = re.compile(r"(\.[^.\[\]]+|\['(?:[^'\\]|\\.)*'\])\Z", re.DOTALL)
_FIELD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule to be tried: `rule` is an item of `tolerate`, or what `order` says at the path `at`."""

    section: str
    at: str
    rule: Any


def candidates(
    pattern: str, kind: Kind, differences: Sequence[Difference], primary: Any, rules: Rules
) -> Iterator[Candidate]:
    """Rules for the differences of one kind at one pattern of paths (indexes as `[*]`: a rule is for answers to come).

    `primary` is the primary's body as a value. There are none for what only a person may overlook: `value_changed`
    (but for the noise of doubles), `type_changed`, `missing`, `added`, ids.
    """
    at = rule_path(pattern)
    if kind in _BY_NAME:
        yield _tolerate(kind, at)
    elif kind is Kind.DATE_PRECISION:
        for unit in _UNITS:
            yield _tolerate(kind, at, unit=unit)
    elif kind is Kind.VALUE_CHANGED:
        noises = [noise for one in differences if (noise := _noise(one.primary, one.shadow)) is not None]
        if noises:
            yield Candidate("tolerate", at, {"kind": "number", "at": at, "epsilon": max(noises)})
    elif kind is Kind.ALIAS:
        # The rule belongs to the object that has the member.
        yield _tolerate(kind, _LAST_NAME.sub("", at), names=list(OWN_IDS))
    elif kind is Kind.ORDER_CHANGED:
        yield from _orders(at, differences[0].path, primary, rules)


def rule_path(pattern: str) -> str:
    """A pattern as a rule's path, without what a configuration file takes for `${VARIABLE}` or an escaped `$`."""
    return "$" + pattern[1:].replace("$$", r"\u0024\u0024").replace("${", r"\u0024{")


def _tolerate(kind: Kind, at: str, **more: Any) -> Candidate:
    return Candidate("tolerate", at, {"kind": kind.value, "at": at, **more})


def _noise(left: Any, right: Any) -> Decimal | None:
    """The smallest power of ten that covers two JSON numbers which a double can hardly tell apart, or None.

    Integers, longer decimals and decimals as texts are not computed in doubles: their last digit is somebody's money.
    """
    if not all(isinstance(one, int | Decimal) and not isinstance(one, bool) for one in (left, right)):
        return None
    if isinstance(left, int) and isinstance(right, int):
        return None
    for one in (left, right):
        if isinstance(one, int) and one.bit_length() > 64:
            return None
    a, b = Decimal(left), Decimal(right)
    if any(abs(one.adjusted()) > _MAX_MAGNITUDE or len(one.as_tuple().digits) > _DOUBLE_DIGITS for one in (a, b)):
        return None
    apart = _EXACT.subtract(a, b).copy_abs()
    if not apart or apart > _EXACT.multiply(max(a.copy_abs(), b.copy_abs()), _NOISE):
        return None
    power = Decimal((0, (1,), apart.adjusted()))
    return power if apart == power else Decimal((0, (1,), apart.adjusted() + 1))


def _orders(at: str, path: str, primary: Any, rules: Rules) -> Iterator[Candidate]:
    try:
        keys = [step.key for step in compile_path(path).steps if step.key is not None]
    except PathError:
        return
    if _has_order(keys, rules):
        # Somebody has said how this array is to stand; to forgive that is no helper's business.
        return
    elements = _at(keys, primary)
    if not isinstance(elements, list):
        return
    if elements and all(isinstance(element, dict) for element in elements):
        for field in _sort_fields(elements):
            yield Candidate("order", at, {"sorted_by": [field]})
        for name in OWN_IDS:
            own = {repr(element.get(name)) for element in elements}
            if len(own) == len(elements) and all(name in element for element in elements):
                yield Candidate("order", at, {"key": name})
    yield Candidate("order", at, "any")


def _has_order(keys: list[Key], rules: Rules) -> bool:
    place = rules.root
    for key in keys:
        place = place.name(key) if isinstance(key, str) else place.index(key)
    return "order" in place.rules


def _at(keys: list[Key], value: Any) -> Any:
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _sort_fields(elements: list[dict[str, Any]]) -> list[str]:
    """The fields by which the elements seem to be sorted but for ties, the most telling first.

    Without ties a field explains no other order, and one with few values may seem sorted by chance: it must have one
    for every other element.
    """
    found = []
    for name in list(elements[0])[:_MAX_FIELDS]:
        values = _comparable([element.get(name) for element in elements])
        if values is None or name in OWN_IDS or not _FIELD.fullmatch(name):
            continue
        different = len(set(values))
        if different == 1 or different == len(values) or 2 * different < len(values):
            continue
        if all(a <= b for a, b in pairwise(values)):
            found.append((-different, name))
        elif all(a >= b for a, b in pairwise(values)):
            found.append((-different, f"-{name}"))
    return [field for _, field in sorted(found)[:_MAX_SORTS]]


def _comparable(values: list[Any]) -> list[Any] | None:
    """The values when they can be sorted: numbers, or texts other than ids, which each store sorts its own way."""
    if all(isinstance(value, str) for value in values):
        return None if any(whole(value) for value in values) else values
    numbers = all(isinstance(value, int | Decimal) and not isinstance(value, bool) for value in values)
    return values if numbers else None
