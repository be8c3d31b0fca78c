"""The children of two values put together: which member or element of one side stands beside which of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from comparators.arrays import Pairing
from comparators.paths import Key
from comparators.picture import Seen, Step


class Entry(NamedTuple):
    """One child: its name or index on each side, as the bodies were parsed; None where that side has none."""

    left: Key | None
    right: Key | None

    @property
    def step(self) -> Step:
        if self.left is not None:
            return self.left
        return 0 if self.right is None else (self.right,)


def entries_of(left: Any, right: Any, seen: Seen) -> list[Entry]:
    """The children of two values that stand opposite each other, paired as `seen` says.

    They are in the primary's order; one that the shadow alone has stands behind what it stands behind there.
    """
    if type(left) is dict and type(right) is dict:
        return _members(left, right, seen.joins)
    if type(left) is list and type(right) is list:
        return _elements(len(left), len(right), seen.pairing)
    # Of an object against a text, say, whatever has children shows them.
    mine = [Entry(key, None) for key in _keys(left)]
    return mine + [Entry(None, key) for key in _keys(right)]


def _keys(value: Any) -> list[Any]:
    if type(value) is dict:
        return list(value)
    return list(range(len(value))) if type(value) is list else []


def _members(left: dict[str, Any], right: dict[str, Any], joined: dict[str, str]) -> list[Entry]:
    if not joined and left.keys() == right.keys():
        return [Entry(name, name) for name in left]
    pairs = [(name, joined.get(name, name if name in right else None)) for name in left]
    theirs = list(right)
    order = {name: number for number, name in enumerate(theirs)}
    listed = _merged(
        [(name, None if other is None else order[other]) for name, other in pairs],
        len(theirs),
    )
    return [Entry(name, None if number is None else theirs[number]) for name, number in listed]


def _elements(left: int, right: int, pairing: Pairing | None) -> list[Entry]:
    if pairing is None:
        both = min(left, right)
        return [
            *[Entry(index, index) for index in range(both)],
            *[Entry(index, None) for index in range(both, left)],
            *[Entry(None, index) for index in range(both, right)],
        ]
    partner = dict(pairing.pairs)
    return [Entry(a, b) for a, b in _merged([(index, partner.get(index)) for index in range(left)], right)]


def _merged(mine: Sequence[tuple[Any, int | None]], theirs: int) -> list[tuple[Any, int | None]]:
    """`mine` with the numbers up to `theirs` that are nobody's partner, each behind the number before it."""
    taken = {number for _, number in mine if number is not None}
    behind: dict[int, list[int]] = {}
    last = -1
    for number in range(theirs):
        if number in taken:
            last = number
        else:
            behind.setdefault(last, []).append(number)
    made: list[tuple[Any, int | None]] = [(None, number) for number in behind.get(-1, ())]
    for key, own in mine:
        made.append((key, own))
        if own is not None and own in behind:
            made += [(None, other) for other in behind[own]]
    return made
