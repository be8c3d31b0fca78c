"""One value of each side as text of bounded length, with what differs between the two set apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from comparators.aligned import ABSENT
from comparators.encode import dumps
from comparators.shown import escaped

MAX_CELL = 300
"""Characters of a value that are shown, about."""
_BEFORE = 40
_MAX_NUMBER = 4_400
_SHORT = 8

Type = Literal["string", "number", "boolean", "null", "object", "array"]


@dataclass(frozen=True, slots=True)
class Cell:
    """`text` is the value as JSON spells it, printable, in three parts: what the other side has too, what it has not,
    and what both have again; where there is no other text to hold it against, all of it is the first.

    `size` is the length of a text in characters and how many members or elements a container has; `cut` says that the
    parts leave something out.
    """

    type: Type
    before: str
    changed: str = ""
    after: str = ""
    size: int = 0
    cut: bool = False

    @property
    def text(self) -> str:
        return f"{self.before}{self.changed}{self.after}"

    def as_json(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "before": self.before,
            "changed": self.changed,
            "after": self.after,
            "size": self.size,
            "cut": self.cut,
        }


def cells_of(left: Any, right: Any, *, apart: bool = True) -> tuple[Cell | None, Cell | None]:
    """The cells of two values; None where a side has none. What differs is set `apart` where two texts do."""
    if apart and type(left) is str and type(right) is str and left != right:
        start, end = _common(left, right)
        return _changed(left, start, end), _changed(right, start, end)
    return _cell(left), _cell(right)


def _cell(value: Any) -> Cell | None:
    if value is ABSENT:
        return None
    if type(value) is dict:
        return Cell("object", "", size=len(value))
    if type(value) is list:
        return Cell("array", "", size=len(value))
    if type(value) is str:
        cut = len(value) > MAX_CELL
        return Cell("string", _quoted(value[:MAX_CELL], last=not cut), size=len(value), cut=cut)
    if value is None:
        return Cell("null", "null")
    if type(value) is bool:
        return Cell("boolean", "true" if value else "false")
    text = dumps(value)
    return Cell("number", text[:MAX_CELL], cut=len(text) > MAX_CELL)


def _changed(text: str, start: int, end: int) -> Cell:
    """A text of which the other side has `start` characters at the beginning and `end` at the end."""
    low = 0 if start <= _BEFORE + _SHORT else start - _BEFORE
    stop = len(text) - end
    changed_to = min(stop, start + MAX_CELL)
    high = min(len(text), max(changed_to, low + MAX_CELL)) if changed_to == stop else changed_to
    return Cell(
        "string",
        _quoted(text[low:start], first=low == 0, last=False, mark=low > 0),
        _quoted(text[start:changed_to], first=False, last=False),
        _quoted(text[changed_to:high], first=False, last=high == len(text)),
        size=len(text),
        cut=low > 0 or high < len(text),
    )


def _quoted(text: str, *, first: bool = True, last: bool = True, mark: bool = False) -> str:
    inner = escaped(dumps(text)[1:-1])
    return f"{'…' if mark else ''}{chr(34) if first else ''}{inner}{chr(34) if last else ''}"


def _common(left: str, right: str) -> tuple[int, int]:
    """How many characters both texts begin with, and how many of the rest both end with."""
    shorter = min(len(left), len(right))
    start = _longest(shorter, lambda size: left[:size] == right[:size])
    end = _longest(shorter - start, lambda size: left[len(left) - size :] == right[len(right) - size :])
    return start, end


def _longest(limit: int, holds: Any) -> int:
    """The largest number up to `limit` that holds, where all smaller ones hold too."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
