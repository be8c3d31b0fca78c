"""What changed between two values that are known to differ, place by place. The one module that calls DeepDiff.

DeepDiff takes hundreds of times as long as the comparison itself and longer than linear, so it is given only values of
few members, with ids in one spelling and long texts as digests: what it names is looked up in the values themselves.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any

from deepdiff import DeepDiff

from comparators.encode import dumps
from comparators.ids import IdTable, translate
from comparators.paths import Key, render
from comparators.shown import shorten

MAX_CHANGES = 20
MAX_VALUES = 200
"""The most values of one side that DeepDiff is given: some 0.1 s in its worst case."""
MAX_LEVELS = 30
_MAX_PLAIN_TEXT = 100
_MAX_PLAIN_EXPONENT = 1_000

_WHAT = {
    "dictionary_item_added": "added",
    "iterable_item_added": "added",
    "dictionary_item_removed": "missing",
    "iterable_item_removed": "missing",
    "type_changes": "type_changed",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One change within a difference.

    `path` is below the difference's own, from the root of the body, and `what` is `changed`, `type_changed`, `missing`,
    `added` or `moved`. What has moved is in `primary`, and `to` is its path on the shadow side.
    """

    path: str
    what: str
    primary: Any = None
    shadow: Any = None
    to: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path, "what": self.what, "primary": self.primary, "shadow": self.shadow, "to": self.to or None,
        }  # fmt: skip


def changes_within(path: tuple[Key, ...], primary: Any, shadow: Any, ids: IdTable) -> tuple[list[Change], str]:
    """What changed between two arrays or two objects that stand at `path`, and what was left out, in words or "".

    Ids that the table joins are no change. Two values of other types have nothing inside that could be told.
    """
    if type(primary) is not type(shadow) or not isinstance(primary, dict | list):
        return [], ""
    left, right = _Copy(ids), _Copy(ids)
    try:
        mine, other = left.of(primary, MAX_LEVELS), right.of(shadow, MAX_LEVELS)
    except _TooLargeError:
        return [], f"not told change by change: more than {MAX_VALUES} values, or {MAX_LEVELS} levels of them"
    tree = DeepDiff(mine, other, view="tree", verbose_level=2)
    found = []
    for sort, levels in tree.items():
        what = _WHAT.get(sort, "changed")
        for level in levels:
            keys: tuple[Key, ...] = ()
            a = b = None
            if what != "missing":
                keys, b = right.found(shadow, other, level.path(output_format="list", use_t2=True))
            if what != "added":
                # Where both have it, it is named as the primary side names it.
                keys, a = left.found(primary, mine, level.path(output_format="list"))
            found.append((_rank(keys), Change(render((*path, *keys)), what, shorten(a)[0], shorten(b)[0])))
    found.sort(key=lambda one: one[0])
    more = f"{len(found) - MAX_CHANGES} more changes" if len(found) > MAX_CHANGES else ""
    return [change for _, change in found[:MAX_CHANGES]], more


def moves_within(path: tuple[Key, ...], primary: Any, shadow: Any, ids: IdTable) -> tuple[list[Change], str]:
    """Which elements stand elsewhere, given what tells the elements of two arrays apart; the fewest that explain it."""
    if not isinstance(primary, list) or not isinstance(shadow, list):
        return [], ""
    mine, others = ([_name(e, ids) for e in side[:MAX_VALUES]] for side in (primary, shadow))
    stay = SequenceMatcher(None, mine, others, autojunk=False).get_matching_blocks()
    left = set(range(len(mine))).difference(block.a + n for block in stay for n in range(block.size))
    right = set(range(len(others))).difference(block.b + n for block in stay for n in range(block.size))
    waiting: dict[str, deque[int]] = defaultdict(deque)
    for index in sorted(right):
        waiting[others[index]].append(index)
    found = []
    for index in sorted(left):
        if queue := waiting.get(mine[index]):
            name, to = shorten(primary[index])[0], queue.popleft()
            found.append(Change(render((*path, index)), "moved", name, to=render((*path, to))))
    notes = []
    if max(len(primary), len(shadow)) > MAX_VALUES:
        notes.append(f"looked at the first {MAX_VALUES} elements only")
    if len(found) > MAX_CHANGES:
        notes.append(f"{len(found) - MAX_CHANGES} more moved")
    return found[:MAX_CHANGES], "; ".join(notes)


def _rank(keys: tuple[Key, ...]) -> list[tuple[int, str]]:
    return [(key, "") if isinstance(key, int) else (-1, key) for key in keys]


def _name(element: Any, ids: IdTable) -> str:
    text = dumps(shorten(element)[0])
    return translate(text, ids)


class _TooLargeError(Exception):
    """The value has more members or levels than DeepDiff is given."""


class _Copy:
    """A copy of one side in which equal means equal to DeepDiff, and the way back to the value itself."""

    def __init__(self, ids: IdTable) -> None:
        self._ids = ids
        self._left = MAX_VALUES
        self._names: dict[int, dict[str, str]] = {}

    def of(self, value: Any, levels: int) -> Any:
        self._left -= 1
        if self._left < 0 or levels <= 0:
            raise _TooLargeError
        if isinstance(value, dict):
            made: dict[str, Any] = {}
            names: dict[str, str] = {}
            for name, item in value.items():
                other = translate(name, self._ids)
                if other in value or other in made:
                    other = name
                names[other] = name
                made[other] = self.of(item, levels - 1)
            self._names[id(made)] = names
            return made
        if isinstance(value, list):
            return [self.of(item, levels - 1) for item in value]
        if isinstance(value, str):
            text = translate(value, self._ids)
            # A line end alone would make DeepDiff compare line by line.
            if len(text) > _MAX_PLAIN_TEXT or "\n" in text:
                return f"{len(text)} {hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"
            return text
        if isinstance(value, Decimal) and value.adjusted() < _MAX_PLAIN_EXPONENT and value == value.to_integral_value():
            return int(value)
        return value

    def found(self, value: Any, copy: Any, path: list[Key]) -> tuple[tuple[Key, ...], Any]:
        """The value that the copy has at `path`, and its path in the value itself."""
        keys: list[Key] = []
        for step in path:
            key = self._names[id(copy)][str(step)] if isinstance(copy, dict) else step
            value, copy = value[key], copy[step]
            keys.append(key)
        return tuple(keys), value
