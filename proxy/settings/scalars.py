"""Scalars of the configuration: `${ENV}` put in, and plain text typed as YAML 1.2 (core schema) types it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

_REFERENCE = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9][0-9_]*")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_NUMBER = 100


class EnvText(str):
    """A whole scalar that came from `${...}`. Text by itself; a key that wants a number or a flag re-types it.

    The wanted type decides, not the look: a token of `12345` stays text although it looks like a number.
    """

    __slots__ = ()


def substitute(text: str, env: Mapping[str, str], problem: Callable[[str], None]) -> str:
    """`text` with `${NAME}` and `${NAME:-default}` put in and `$$` made `$`.

    As in a shell the default also stands in for a variable that is set but empty. What is put in is never looked at
    again, so a value may hold `$`, quotes or line ends. A lone `$` stays (paths such as `$.data` need no escape).
    `problem` is told of each reference that cannot be resolved; the text is then of no use.
    """
    if "$" not in text:
        return text
    whole = _REFERENCE.fullmatch(text)

    def put_in(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        if found[1] is None:
            problem('"${" is not closed by "}"; write $${ for the two characters themselves')
            return ""
        parts = _NAME.fullmatch(found[1])
        if parts is None:
            problem(f'"{found[0]}" is not a reference; write ${{NAME}} or ${{NAME:-default}}, or $${{ for itself')
            return ""
        name, default = parts[1], parts[2]
        value = env.get(name)
        if default is not None:
            return value or default
        if value is None:
            problem(f"environment variable {name} is not set; set it or write ${{{name}:-default}}")
            return ""
        return value

    result = _REFERENCE.sub(put_in, text)
    return EnvText(result) if whole and text != "$$" else result


def typed(text: str) -> Any:
    """A plain scalar by the core schema. Dates stay text; digits may be grouped by underscores."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if len(text) <= _LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return int(text.replace("_", ""))
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
    if special := _SPECIAL.fullmatch(text):
        return math.nan if special[1] is None else math.copysign(math.inf, -1 if special[1] == "-" else 1)
    return text


def retyped(value: Any) -> Any:
    """`value` with every `EnvText` in it typed as if it had stood in the file unquoted."""
    if isinstance(value, EnvText):
        return typed(value)
    if isinstance(value, dict):
        return {key: retyped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [retyped(item) for item in value]
    return value
