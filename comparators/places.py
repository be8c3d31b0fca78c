"""The keys of a normalized path, however long it is: what leads to the place of a difference."""

from __future__ import annotations

import re

from comparators.paths import Key

_PART = re.compile(r"\[([0-9]{1,10})\]|\['((?:[^'\\]|\\.)*+)'\]|\.([^.\[]+)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def keys_of(path: str) -> tuple[Key, ...] | None:
    """The keys of a normalized path as `render` spells it, however long; None when it is none (`headers.location`)."""
    if not path.startswith("$"):
        return None
    keys: list[Key] = []
    at = 1
    while at < len(path):
        found = _PART.match(path, at)
        if found is None:
            return None
        if found[1] is not None:
            keys.append(int(found[1]))
        elif found[2] is not None:
            keys.append(_ESCAPE.sub(_unescaped, found[2]))
        else:
            keys.append(found[3])
        at = found.end()
    return tuple(keys)


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2])
