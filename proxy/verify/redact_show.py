"""How much of a differing value is kept, and that two values which differ are still seen to, whatever was hidden."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from comparators.encode import dumps

MAX_VALUE = 2_000
"""Characters of one value in a difference."""
_BEFORE = 200
"""Characters that are shown before the first one that differs, of long texts."""
_BUDGET = 3 * MAX_VALUE


def bounded(value: Any) -> Any:
    """The beginning of a large value, so that what is done with it costs no more than what can be shown of it.

    Texts stay whole: half a secret would not be known for one.
    """
    if type(value) not in (dict, list):
        return value
    return _Budget().take(value)


class _Budget:
    def __init__(self) -> None:
        self._left = _BUDGET

    def take(self, value: Any) -> Any:
        kind = type(value)
        self._left -= len(value) if kind is str else 1
        if kind is dict:
            return dict(self._members(value))
        if kind is list:
            return list(self._elements(value))
        return value

    def _members(self, value: dict[str, Any]) -> Any:
        for name, item in value.items():
            if self._left <= 0:
                return
            self._left -= len(name)
            yield name, self.take(item)

    def _elements(self, value: list[Any]) -> Any:
        for item in islice(value, _BUDGET):
            if self._left <= 0:
                return
            yield self.take(item)


def shown_apart(originals: tuple[Any, Any], hidden: tuple[Any, Any], tag: Callable[[Any], str]) -> tuple[Any, Any]:
    """Both sides of a difference as they are stored: cut, and told apart where hiding or cutting made them alike."""
    left, right = hidden
    start = 0
    if isinstance(left, str) and isinstance(right, str) and min(len(left), len(right)) > MAX_VALUE:
        same = alike(left, right)
        start = same - _BEFORE if same > MAX_VALUE - _BEFORE else 0
    shown = (_short(left, start), _short(right, start))
    if None in originals or shown[0] != shown[1] or type(shown[0]) is not type(shown[1]):
        return shown
    one, other = originals
    # Equal under Python may still be what differs (1 and true), so the tags decide.
    tags = tag(one), tag(other)
    if tags[0] == tags[1]:
        return shown
    return tuple(f"{_text(value)} {mark}" for value, mark in zip(shown, tags, strict=True))  # type: ignore[return-value]  # two


def _short(value: Any, start: int = 0) -> Any:
    """`value` when it is small, else a part of it as text: one difference must not fill the ledger."""
    if isinstance(value, str):
        if len(value) <= MAX_VALUE:
            return value
        where = f", from character {start + 1}" if start else ""
        return f"{'…' if start else ''}{value[start : start + MAX_VALUE]}… ({len(value)} characters{where})"
    try:
        text = dumps(value)
    except RecursionError:
        return "(nested too deeply)"
    return value if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}… (cut)"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)


def alike(left: str, right: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
