"""Values made fit to be shown: bounded in size and depth, and free of what would steer a terminal."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from comparators.encode import dumps

MAX_SHOWN = 8_000
"""How much of one value is shown, in characters, about."""
MAX_TEXT = 500
MAX_LEVELS = 6
MAX_LINE = 300

# Control characters, what turns the direction of writing, what cannot be seen, and what is no text at all.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]")
_DIGITS_PER_BIT = 0.30103


def escaped(text: str) -> str:
    """`text` with everything that cannot be printed as `\\uXXXX`, as JSON and quoted paths spell it."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shorten(value: Any) -> tuple[Any, bool]:
    """A JSON value of bounded size that shows the beginning of `value`, and whether something was left out.

    Texts that are cut end with an ellipsis, arrays and objects say how many more there are, and what is nested too
    deeply is an ellipsis alone.
    """
    shortener = _Shortener()
    return shortener.of(value, MAX_LEVELS), shortener.cut


def one_line(value: Any, limit: int = MAX_LINE) -> str:
    """A JSON value as printable text of at most `limit` characters and an ellipsis."""
    text = escaped(dumps(shorten(value)[0]))
    return text if len(text) <= limit else f"{text[:limit]}…"


def path_line(path: str) -> str:
    """A path as printable text of bounded length."""
    text = escaped(path[:MAX_TEXT])
    return text if len(path) <= MAX_TEXT else f"{text}…"


class _Shortener:
    def __init__(self) -> None:
        self._left = MAX_SHOWN
        self.cut = False

    def of(self, value: Any, levels: int) -> Any:
        if isinstance(value, dict | list):
            if levels <= 0 and value:
                self.cut = True
                return "…"
            return self._object(value, levels) if isinstance(value, dict) else self._array(value, levels)
        self._left -= 4
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bool) or value is None:
            return value
        long = isinstance(value, int) and value.bit_length() * _DIGITS_PER_BIT > MAX_TEXT
        if long or (isinstance(value, Decimal) and len(value.as_tuple().digits) > MAX_TEXT):
            return self._text(str(value))
        self._left -= 16
        return value

    def _text(self, text: str) -> str:
        limit = max(min(MAX_TEXT, self._left), 20)
        self._left -= min(len(text), limit)
        if len(text) <= limit:
            return text
        self.cut = True
        return f"{text[:limit]}…"

    def _array(self, value: list[Any], levels: int) -> list[Any]:
        made: list[Any] = []
        for item in value:
            if self._left <= 0:
                self.cut = True
                made.append(f"… and {len(value) - len(made)} more")
                break
            made.append(self.of(item, levels - 1))
        return made

    def _object(self, value: dict[str, Any], levels: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for done, (name, item) in enumerate(value.items()):
            if self._left <= 0:
                self.cut = True
                made["…"] = f"and {len(value) - done} more"
                break
            made[self._text(name)] = self.of(item, levels - 1)
        return made
