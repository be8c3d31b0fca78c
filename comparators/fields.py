"""Which paths of two matching bodies carried what on both sides: a field that was always null has not been verified."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from comparators.automaton import Place
from comparators.ids import TOKEN
from comparators.paths import Key, render_pattern

MAX_PATHS = 2_000
OTHER_PATHS = "(other paths)"
"""Stands for all paths past `MAX_PATHS`."""
MAX_DEPTH = 200

_ID_LENGTH = 24
_NULL, _EMPTY, _VALUED = 1, 2, 4


class State(NamedTuple):
    """What stood at one path. A path under an array has several values, and each of these may hold for another one.

    `present`: both sides have the path. `null`, `empty` (`""`, `[]`, `{}`) and `valued` (anything else): both sides
    have such a value there.
    """

    present: bool
    null: bool
    empty: bool
    valued: bool


class _Node(NamedTuple):
    """All values of one path pattern. `keys` leads to one of them; `place` is what the rules say there."""

    keys: tuple[Key, ...]
    left: Sequence[Any]
    right: Sequence[Any]
    place: Place | None


def fields(
    primary: Any, shadow: Any, root: Place | None = None, *, max_depth: int = MAX_DEPTH, max_paths: int = MAX_PATHS
) -> Mapping[str, State]:
    """The state of every path pattern of two decoded bodies, shallow ones first; containers have paths too.

    `root` has the rules: a member that an alias joins goes by the primary's name. What lies deeper than `max_depth` is
    not looked at; of paths beyond `max_paths` there is one state that holds whatever does for any of them.
    """
    found: dict[str, State] = {}
    other = State(present=False, null=False, empty=False, valued=False)
    waiting = deque([_Node((), [primary], [shadow], root)])
    promised = 1
    while waiting:
        node = waiting.popleft()
        found[render_pattern(node.keys)] = _state(node)
        if len(node.keys) >= max_depth:
            continue
        for child in _children(node):
            if promised < max_paths:
                promised += 1
                waiting.append(child)
            else:
                other = State(*(a or b for a, b in zip(other, _state(child), strict=True)))
                found[OTHER_PATHS] = other
    return found


def _state(node: _Node) -> State:
    both = _what(node.left) & _what(node.right)
    present = bool(node.left) and bool(node.right)
    return State(present, bool(both & _NULL), bool(both & _EMPTY), bool(both & _VALUED))


def _what(values: Sequence[Any]) -> int:
    found = 0
    for value in values:
        if value is None:
            found |= _NULL
        elif type(value) in (str, list, dict) and not value:
            found |= _EMPTY
        else:
            found |= _VALUED
    return found


def _children(node: _Node) -> list[_Node]:
    left, right = _members(node.left), _members(node.right)
    place = node.place
    for rule, _ in () if place is None else place.aliases:
        mine = [name for name in rule.names if name in left and name not in right]
        theirs = [name for name in rule.names if name in right and name not in left]
        if len(mine) == 1 == len(theirs):
            right[mine[0]] = right.pop(theirs[0])
    names = [*left, *(name for name in right if name not in left)]
    found = []
    for name in names:
        # The names that hold ids are one pattern, and any of them stands for all.
        key = name if type(name) is str or name == 0 else "0" * _ID_LENGTH
        below = None if place is None else place.name(key) if type(key) is str else place.index(0)
        found.append(_Node((*node.keys, key), left.get(name, ()), right.get(name, ()), below))
    return found


def _members(values: Sequence[Any]) -> dict[Key, list[Any]]:
    """The values one step below, by name; those of elements under 0, and those of names that hold ids under 1."""
    found: dict[Key, list[Any]] = {}
    for value in values:
        if type(value) is dict:
            for name, item in value.items():
                key = 1 if len(name) >= _ID_LENGTH and TOKEN.search(name) else name
                if key in found:
                    found[key].append(item)
                else:
                    found[key] = [item]
        elif type(value) is list and value:
            found.setdefault(0, []).extend(value)
    return found
