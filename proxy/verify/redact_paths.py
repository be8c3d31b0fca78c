"""Paths are stored too, and a member's name in one may be a secret: a token that something is kept under."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from comparators.paths import PathError, compile_path, render
from proxy.verify.redact_names import NONE, below_member, secrecy_of
from proxy.verify.redact_shapes import hide_shapes

_STEP = re.compile(r"\[(?:[0-9]+|\*)\]|\['(?:[^'\\]|\\.)*+'\]|\.[^.\[]++", re.DOTALL)
_MINTED_NAME = 16
REMEMBERED_PATH = 500
"""Characters of a path up to which its pattern is remembered."""


def is_minted_name(name: str, under: int) -> bool:
    """Whether the name of a member of what is secret is one of these secrets: `sessions: {"9f86d081884c7d65": ...}`."""
    return under != NONE and len(name) >= _MINTED_NAME and any(char.isdigit() for char in name)


def without_names(path: str, hide: Callable[[str, int], str | None]) -> str:
    """A normalized path, or a pattern of one, with each step replaced for which `hide` has another name.

    `hide` is told the name and how secret the names above make it, and answers None where it may stay.
    """
    parts: list[str] = []
    at, under = 1, NONE
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            break
        step = found[0]
        if (name := _name_of(step)) is not None:
            other = hide(name, under)
            step = step if other is None else other
            under = secrecy_of(name) or (below_member(under, name) if under else NONE)
        parts.append(step)
        at = found.end()
    return "".join([path[:1], *parts, path[at:]])


def as_step(name: str) -> str:
    """A name as a step of a normalized path."""
    return render([name])[1:]


def pattern_without_secrets(path: str) -> str:
    """A pattern of places as it may be stored: a name that shows itself to be a secret becomes `.*`.

    What only an exchange's own credentials would tell is not known here.
    """
    # A path may be as long as a body; those that are remembered are not.
    return _pattern(path) if len(path) <= REMEMBERED_PATH else _pattern.__wrapped__(path)


@lru_cache(maxsize=8192)
def _pattern(path: str) -> str:
    def hide(name: str, under: int) -> str | None:
        secret = is_minted_name(name, under) or hide_shapes(name, _starred, _nothing) != name
        return ".*" if secret else None

    return without_names(path, hide) if path.startswith("$") and len(path) > _MINTED_NAME else path


def _name_of(step: str) -> str | None:
    if step[0] == ".":
        return None if step == ".*" else step[1:]
    if not step.startswith("['"):
        return None
    try:
        key = compile_path(f"${step}").steps[0].key
    except PathError:
        return step[2:-2]
    return str(key)


def _starred(_text: str) -> str:
    return "*"


def _nothing(_raw: bytes) -> bool:
    return False
