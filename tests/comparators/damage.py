"""A value damaged in one place, in every way that fits what stands there, also such that a tolerance is meant for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Context, Decimal
from typing import Any

from comparators.damage import Keys, placed, without
from comparators.ids import TOKEN

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_AMOUNT = re.compile(r"-?\d+(?:\.\d+)?")


def places(value: Any, keys: Keys = ()) -> Iterator[Keys]:
    """Where values stand, containers before what is in them."""
    yield keys
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*keys, key))


def at(value: Any, keys: Keys) -> Any:
    for key in keys:
        value = value[key]
    return value


def damages(value: Any, keys: Keys, other_id: str) -> Iterator[tuple[str, Any]]:
    """(what was done, the whole value with it). A client can tell each from the undamaged value."""
    old = at(value, keys)
    for name, new in _instead(old, other_id):
        yield name, placed(value, keys, new)
    nothings: tuple[Any, ...] = (None, "", [], {}, 0, False)
    for nothing in nothings:
        if type(old) is not type(nothing) or old != nothing:
            yield f"{nothing!r} instead", placed(value, keys, nothing)
    if keys:
        yield "removed", without(value, keys)


def _instead(old: Any, other_id: str) -> Iterator[tuple[str, Any]]:
    match old:
        case bool():
            yield "negated", not old
            yield "as a number", int(old)
            yield "as a text", str(old).lower()
        case int() | Decimal():
            yield "one more", old + 1
            yield "a trifle more", Context(prec=100).add(Decimal(old), Decimal("1e-18"))
            yield "as a text", str(old)
            yield "in an array", [old]
        case str():
            yield from _texts(old, other_id)
        case dict():
            yield "a member more", {**old, "zz": 1}
            yield "a null more", {**old, "zz": None}
        case list() if old:
            yield "the last again", [*old, old[-1]]
            yield "the first again", [old[0], *old]
            if old != old[::-1]:
                yield "turned round", old[::-1]


def _texts(old: str, other_id: str) -> Iterator[tuple[str, Any]]:
    yield "a space more", f"{old} "
    yield "another end", old[:-1] + ("x" if old[-1:] != "x" else "y")
    if TOKEN.search(old):
        yield "another id", TOKEN.sub(other_id, old)
    elif old.swapcase() != old:
        yield "other case", old.swapcase()
    if _DATE.fullmatch(old):
        yield "a millisecond", f"{old[:-2]}{(int(old[-2]) + 1) % 10}Z"
        yield "a microsecond", f"{old[:-1]}001Z"
        yield "another spelling", f"{old[:-1]}+00:00"
        yield "no zone", old[:-1]
    if _AMOUNT.fullmatch(old):
        yield "as a number", Decimal(old)
        yield "another scale", f"{old}.00" if "." not in old else f"{old}0"


def evenly(everything: Sequence[Keys], count: int) -> Sequence[Keys]:
    """About `count` of them, chosen evenly."""
    return everything[:: max(1, len(everything) // count)]
