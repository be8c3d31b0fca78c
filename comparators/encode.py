"""From values back to JSON without losing a digit: integers of any length, and decimals as the numbers they are."""

from __future__ import annotations

from typing import Any

import simplejson


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text (RFC 8259) of what `decode` made, compact without `indent`; always encodable as UTF-8."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = simplejson.dumps(value, use_decimal=True, ensure_ascii=False, separators=separators, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        # A lone surrogate can stand in JSON only as an escape.
        return simplejson.dumps(value, use_decimal=True, ensure_ascii=True, separators=separators, indent=indent)
    return text
