"""Whether two subtrees are equal with no rule's help: the cheap question that prunes most of a comparison."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

Marks = tuple[bytes, ...] | None
"""See `Place.marks`."""

_canonical = msgspec.json.Encoder(decimal_format="number", order="sorted").encode

_FEW = 8


def same(left: Any, right: Any, marks: Marks = ()) -> bool:
    """Whether two decoded values are the same to a JSON client, and no rule has to look into them all the same.

    Yes is certain; no only means: look closer. Python takes `True` for 1, so what it finds equal has to have the same
    canonical text as well. `marks` are those of the place; they matter to objects and arrays alone.
    """
    kind, other = type(left), type(right)
    if kind is str or other is str:
        return bool(left == right)
    if kind is dict or kind is list:
        return kind is other and bool(left == right) and one_text(left, right, marks)
    if kind is int or kind is Decimal:
        return (other is int or other is Decimal) and bool(left == right)
    return left is right


def unequal_indexes(left: list[Any], right: list[Any], marks: Marks) -> list[int]:
    """The indexes at which two arrays of one length are not the `same`. `marks` are those of the arrays' place."""
    places = range(len(left))
    if marks is None:
        return list(places)
    if len(left) < _FEW:
        return [index for index in places if not same(left[index], right[index], marks)]
    unequal = [index for index in places if left[index] != right[index]]
    if len(unequal) == len(left):
        return unequal
    if unequal:
        out = set(unequal)
        mine = [left[index] for index in places if index not in out]
        theirs = [right[index] for index in places if index not in out]
    else:
        mine, theirs = left, right
    # One text for all that Python finds equal is cheaper than one for each.
    if one_text(mine, theirs, marks):
        return unequal
    return [index for index in places if not same(left[index], right[index], marks)]


def one_text(left: Any, right: Any, marks: Marks) -> bool:
    """Whether both have the same canonical JSON text, and none of `marks` in it.

    Names are sorted in it, so their order does not matter; equal numbers in other spellings have other texts.
    """
    if marks is None:
        return False
    try:
        text = _canonical(left)
        if text != _canonical(right):
            return False
    except (UnicodeEncodeError, RecursionError, OverflowError):
        # A lone surrogate has no bytes.
        return False
    for mark in marks:  # noqa: SIM110 - a generator costs more than the search
        if mark in text:
            return False
    return True
