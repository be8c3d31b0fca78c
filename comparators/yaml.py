"""Rules as YAML that can be pasted into a configuration file."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from comparators.shown import escaped

_PLAIN = re.compile(r"[a-z_]+")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_SHORTEST = -30


def flow(value: Any) -> str:
    """A text, number, list or mapping in YAML's flow style, on one line and printable."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, Decimal):
        # YAML 1.1 and 1.2 disagree about exponents without a point.
        return f"{value:f}" if value.adjusted() > _SHORTEST else f"1.0e{value.adjusted()}"
    if isinstance(value, str):
        # JSON's escapes are YAML's too.
        plain = _PLAIN.fullmatch(value) and value not in _WORDS
        return value if plain else escaped(json.dumps(value, ensure_ascii=False))
    return str(value)
