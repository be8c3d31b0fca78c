"""JSONPath (RFC 9535) limited to names, indexes, `[*]`, `.*` and `..`, and the spelling of normalized paths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from comparators.ids import TOKEN

Key = str | int
"""One step of a concrete path: a member name or an array index."""

MAX_PATH_LENGTH = 1_000
MAX_STEPS = 50
_ID_LENGTH = 24

_PLAIN_NAME = re.compile(r"[^\W\d]\w*", re.UNICODE)
_QUOTED = re.compile(r"\[\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\s*\]")
_INDEX = re.compile(r"\[\s*(0|[1-9][0-9]{0,9})\s*\]")
_ANY_ITEM = re.compile(r"\[\s*\*\s*\]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
# Beyond the control characters of RFC 9535 also lone surrogates: the path must be text that can be stored.
_TO_ESCAPE = re.compile(r"['\\\x00-\x1f\ud800-\udfff]")


class PathError(ValueError):
    """A path that cannot be used; the text says where it goes wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class Step:
    """`name` matches one member, `index` one element, `any` every child, `deep` any number of levels (`..`)."""

    sort: Literal["name", "index", "any", "deep"]
    key: Key | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path. `text` is as written; an empty `steps` is the root."""

    text: str
    steps: tuple[Step, ...]

    @property
    def concrete(self) -> int:
        """How many steps name something: the more there are, the more specific the path is."""
        return sum(1 for step in self.steps if step.sort in ("name", "index"))


_ANY = Step("any")
_DEEP = Step("deep")


def compile_path(text: str) -> Path:
    """Compile `text`. A trailing `..` means the place itself and everything below it.

    Raises PathError for anything outside the limited language.
    """
    if len(text) > MAX_PATH_LENGTH:
        raise PathError(f"path is longer than {MAX_PATH_LENGTH} characters")
    if not text.startswith("$"):
        raise PathError(f"path {text!r} must start with '$'")
    steps: list[Step] = []
    at = 1
    while at < len(text):
        if text.startswith("..", at):
            steps.append(_DEEP)
            at += 2
            if at == len(text) or text[at] == "[":
                continue
            step, at = _bare(text, at)
        elif text[at] == ".":
            step, at = _bare(text, at + 1)
        elif text[at] == "[":
            step, at = _bracket(text, at)
        else:
            raise PathError(f"path {text!r}: expected '.', '..' or '[' at character {at + 1}")
        steps.append(step)
        if len(steps) > MAX_STEPS:
            raise PathError(f"path {text!r} has more than {MAX_STEPS} steps")
    return Path(text, tuple(steps))


def _bare(text: str, at: int) -> tuple[Step, int]:
    if text.startswith("*", at):
        return _ANY, at + 1
    found = _PLAIN_NAME.match(text, at)
    if not found:
        raise PathError(f"path {text!r}: expected a name or '*' at character {at + 1}")
    return Step("name", found[0]), found.end()


def _bracket(text: str, at: int) -> tuple[Step, int]:
    if found := _ANY_ITEM.match(text, at):
        return _ANY, found.end()
    if found := _INDEX.match(text, at):
        return Step("index", int(found[1])), found.end()
    if found := _QUOTED.match(text, at):
        raw = found[1] if found[1] is not None else found[2]
        return Step("name", _ESCAPE.sub(_unescaped, raw)), found.end()
    raise PathError(
        f"path {text!r}: only [*], [0] and ['name'] may stand in brackets (character {at + 1}); "
        "filters, slices and negative indexes are not supported"
    )


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2])


def render(keys: tuple[Key, ...] | list[Key]) -> str:
    """The normalized path of a place, dotted where the name allows it: `$.data[3]['odd name']`."""
    parts = ["$"]
    for key in keys:
        if isinstance(key, int):
            parts.append(f"[{key}]")
        else:
            parts.append(_segment(key))
    return "".join(parts)


def render_pattern(keys: tuple[Key, ...]) -> str:
    """`pattern_of` of the normalized path of a place."""
    if any([type(key) is str and len(key) >= _ID_LENGTH for key in keys]):  # noqa: C419 - a list is faster
        return pattern_of(render(keys))
    return "".join(["$", *["[*]" if type(key) is int else _segment(str(key)) for key in keys]])


def _segment(name: str) -> str:
    plain = name.isidentifier() if name.isascii() else _PLAIN_NAME.fullmatch(name)
    return f".{name}" if plain else _quote(name)


def _quote(name: str) -> str:
    return f"['{_TO_ESCAPE.sub(_escaped, name)}']"


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    if char in "'\\":
        return f"\\{char}"
    return next((f"\\{short}" for short, plain in _ESCAPED.items() if plain == char), f"\\u{ord(char):04x}")


_HIDDEN = re.compile(r"\[redacted [0-9a-f]{8}\]")
"""What stands in a stored path for the name of a member that is a secret."""
_STEP = re.compile(r"\[[0-9]+\]|\['(?:[^'\\]|\\.)*'\]|\.[^.\[]+", re.DOTALL)


def pattern_of(path: str) -> str:
    """The pattern of a normalized path: indexes become `[*]`, members whose names hold an id or are hidden `.*`.

    >>> pattern_of("$.data[3].buyer.id")
    '$.data[*].buyer.id'
    """
    return _STEP.sub(_generalized, path)


def _generalized(found: re.Match[str]) -> str:
    step = found[0]
    if step[1].isdigit():
        return "[*]"
    return ".*" if TOKEN.search(step) or _HIDDEN.search(step) else step
